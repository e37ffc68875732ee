import { addQuantities, compareQuantities } from "../../meta/index.ts";
import type { Container } from "./container.ts";
import type { PodSpec } from "./spec.ts";

/** Amounts by resource name. */
export type Amounts = Record<string, string>;

function add(to: Amounts, from: Readonly<Amounts> | undefined): Amounts {
  for (const [name, amount] of Object.entries(from ?? {})) {
    const sum = to[name];
    to[name] = sum === undefined ? amount : addQuantities(sum, amount);
  }
  return to;
}

function raise(to: Amounts, from: Readonly<Amounts>): void {
  for (const [name, amount] of Object.entries(from)) {
    const most = to[name];
    if (most === undefined || compareQuantities(amount, most) > 0) to[name] = amount;
  }
}

/** Whether an init container is a sidecar: it runs beside the containers. */
export const isSidecar = (container: Pick<Container, "restartPolicy">): boolean => container.restartPolicy === "Always";

/**
 * What all containers of a pod take together at most: the sum of containers and sidecars, or an init container with
 * the sidecars that were started before it, whichever is more.
 */
export function totalOf(spec: PodSpec, part: "requests" | "limits"): Amounts {
  const total: Amounts = {};
  for (const { resources } of spec.containers ?? []) add(total, resources?.[part]);
  const sidecars: Amounts = {};
  const starting: Amounts = {};
  for (const container of spec.initContainers ?? []) {
    const own = container.resources?.[part];
    if (isSidecar(container)) {
      add(total, own);
      add(sidecars, own);
      raise(starting, sidecars);
    } else raise(starting, add(add({}, own), sidecars));
  }
  raise(total, starting);
  return total;
}

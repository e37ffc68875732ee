import { addQuantities, compareQuantities } from "../../meta/index.ts";
import type { ResourceRequirements } from "./resources.ts";
import type { PodSpec } from "./spec.ts";

type Amounts = Record<string, string>;

function collect(to: Amounts, from: Readonly<Amounts> | undefined): void {
  for (const name of ["cpu", "memory"]) {
    const amount = from?.[name];
    if (amount === undefined || compareQuantities(amount, "0") <= 0) continue;
    to[name] = to[name] === undefined ? amount : addQuantities(to[name], amount);
  }
}

/**
 * The QoS class of a pod. Guaranteed: every container has limits for cpu and memory and equal requests; BestEffort: no
 * requests and no limits. Pod-level resources replace those of the containers.
 */
export function qosClassOf(spec: PodSpec): "Guaranteed" | "Burstable" | "BestEffort" {
  const whole = spec.resources;
  const isWhole = Object.keys(whole?.limits ?? {}).length + Object.keys(whole?.requests ?? {}).length > 0;
  const parts: (ResourceRequirements | undefined)[] = isWhole
    ? [whole]
    : [...(spec.containers ?? []), ...(spec.initContainers ?? [])].map(({ resources }) => resources);
  const requests: Amounts = {};
  const limits: Amounts = {};
  let isLimited = true;
  for (const part of parts) {
    const own: Amounts = {};
    collect(own, part?.limits);
    collect(requests, part?.requests);
    collect(limits, part?.limits);
    // Upstream looks at the limits of the whole only where there are any.
    const isAsked = !isWhole || Object.keys(part?.limits ?? {}).length > 0;
    if (isAsked && Object.keys(own).length < 2) isLimited = false;
  }
  const asked = Object.keys(requests);
  if (asked.length === 0 && Object.keys(limits).length === 0) return "BestEffort";
  const same = asked.every(
    (name) => limits[name] !== undefined && compareQuantities(limits[name], requests[name]!) === 0,
  );
  return isLimited && same && asked.length === Object.keys(limits).length ? "Guaranteed" : "Burstable";
}

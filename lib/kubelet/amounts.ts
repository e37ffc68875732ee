import { addQuantities, type PodSpec, quantityMilliValue, quantityValue, totalOf } from "#api";

/** Amounts by resource name, as quantities. */
export type Amounts = Record<string, string>;

const isPodLevel = (name: string): boolean => name === "cpu" || name === "memory" || name.startsWith("hugepages-");

/** Whether the pod itself has requests or limits (upstream's IsPodLevelResourcesSet). */
export const hasPodLevel = ({ resources }: Pick<PodSpec, "resources">): boolean =>
  [...Object.keys(resources?.requests ?? {}), ...Object.keys(resources?.limits ?? {})].some(isPodLevel);

/** What a pod requests: those of the pod itself over those of its containers, and its overhead (PodRequests). */
export function podRequests(spec: PodSpec): Amounts {
  const total = { ...totalOf(spec, "requests"), ...podLevel(spec.resources?.requests) };
  for (const [name, amount] of Object.entries(spec.overhead ?? {})) {
    total[name] = total[name] === undefined ? amount : addQuantities(total[name], amount);
  }
  return total;
}

/** A pod's limits, of those resources that have any (PodLimits). */
export function podLimits(spec: PodSpec): Amounts {
  const total = { ...totalOf(spec, "limits"), ...podLevel(spec.resources?.limits) };
  for (const [name, amount] of Object.entries(spec.overhead ?? {})) {
    const limit = total[name];
    if (limit !== undefined && quantityMilliValue(limit) !== 0n) total[name] = addQuantities(limit, amount);
  }
  return total;
}

const podLevel = (amounts: Readonly<Amounts> | undefined): Amounts =>
  Object.fromEntries(Object.entries(amounts ?? {}).filter(([name]) => isPodLevel(name)));

/** Thousandths of a cpu; 0 where there is no amount. */
export const milliCpu = (amounts: Readonly<Amounts> | undefined): number =>
  Number(quantityMilliValue(amounts?.["cpu"] ?? "0"));

/** Bytes of memory; 0 where there is no amount. */
export const memoryBytes = (amounts: Readonly<Amounts> | undefined): number =>
  Number(quantityValue(amounts?.["memory"] ?? "0"));

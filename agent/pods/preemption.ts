import { type Pod, qosClassOf } from "#api";
import { isCritical } from "#kubelet";
import { type Capacity, requestOf, type Shortage } from "./allocation.ts";

type Part = keyof Capacity;
/** What is still missing, by resource; only positive amounts. */
type Missing = Partial<Record<Part, number>>;

/** What is missing once these pods have ended. */
function without(missing: Missing, pods: readonly Pod[]): Missing {
  const left: Missing = {};
  for (const [part, amount] of Object.entries(missing) as [Part, number][]) {
    const rest = pods.reduce((sum, pod) => sum - requestOf(pod)[part], amount);
    if (rest > 0) left[part] = rest;
  }
  return left;
}

const isMet = (missing: Missing): boolean => Object.keys(missing).length === 0;

/** How far a pod's requests are from what is missing; 0 where they are enough. */
function distance(missing: Missing, pod: Pod): number {
  const requests = requestOf(pod);
  return (Object.entries(missing) as [Part, number][]).reduce((sum, [part, amount]) => {
    const rest = amount - requests[part];
    return rest > 0 ? sum + (rest / amount) ** 2 : sum;
  }, 0);
}

/** Whether a pod requests less memory than another, or as much and not more cpu. */
function isSmaller(pod: Pod, other: Pod): boolean {
  const [a, b] = [requestOf(pod), requestOf(other)];
  return a.memory === b.memory ? a.cpu <= b.cpu : a.memory < b.memory;
}

/** The fewest pods whose requests are enough, by the smallest distance each time (getPodsToPreemptByDistance). */
function nearest(pods: readonly Pod[], missing: Missing): Pod[] {
  const left = [...pods];
  const chosen: Pod[] = [];
  let open = missing;
  while (!isMet(open) && left.length > 0) {
    const best = left.reduce((found, pod) => {
      const [own, least] = [distance(open, pod), distance(open, found)];
      return own < least || (own === least && isSmaller(pod, found)) ? pod : found;
    });
    left.splice(left.indexOf(best), 1);
    chosen.push(best);
    open = without(open, [best]);
  }
  return chosen;
}

/** Whether a pod may end another: a critical one each that is not, others those of lower priority (Preemptable). */
const mayEnd = (pod: Pod, other: Pod): boolean =>
  (isCritical(pod) && !isCritical(other)) || (pod.spec?.priority ?? 0) > (other.spec?.priority ?? 0);

/**
 * The pods to end so that a critical pod fits, those without guarantees first; undefined where no set of pods is enough
 * (upstream's getPodsToPreempt).
 */
export function victimsFor(pod: Pod, others: readonly Pod[], shortages: readonly Shortage[]): Pod[] | undefined {
  const missing: Missing = Object.fromEntries(shortages.map(({ part, missing: amount }) => [part, amount]));
  const candidates = others.filter((other) => mayEnd(pod, other));
  if (!isMet(without(missing, candidates))) return undefined;
  const of = (wanted: string): Pod[] =>
    candidates.filter(({ spec }) => qosClassOf(spec ?? { containers: [] }) === wanted);
  const [loose, burstable, guaranteed] = [of("BestEffort"), of("Burstable"), of("Guaranteed")];
  const last = nearest(guaranteed, without(missing, [...loose, ...burstable]));
  const middle = nearest(burstable, without(missing, [...loose, ...last]));
  return [...nearest(loose, without(missing, [...middle, ...last])), ...middle, ...last];
}

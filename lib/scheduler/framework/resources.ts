import { type Container, type Pod, quantityMilliValue, quantityValue } from "#api";

/** Amounts by resource: cpu in thousandths of a core, everything else in units (bytes, counts). */
export type Amounts = Record<string, number>;

type Quantities = Readonly<Record<string, string>> | undefined;

const known = new Map<string, number>();

/** The number of a quantity, cached: the same few texts occur again and again. */
function amount(resource: string, text: string): number {
  const key = resource === "cpu" ? `c${text}` : text;
  let value = known.get(key);
  if (value === undefined) {
    value = Number(resource === "cpu" ? quantityMilliValue(text) : quantityValue(text));
    if (known.size > 10_000) known.clear();
    known.set(key, value);
  }
  return value;
}

export function amountsOf(quantities: Quantities): Amounts {
  const amounts: Amounts = {};
  for (const resource in quantities) amounts[resource] = amount(resource, quantities[resource]!);
  return amounts;
}

export function add(to: Amounts, more: Amounts, sign = 1): void {
  for (const resource in more) to[resource] = (to[resource] ?? 0) + sign * more[resource]!;
}

function raise(to: Amounts, other: Amounts): void {
  for (const resource in other) to[resource] = Math.max(to[resource] ?? 0, other[resource]!);
}

/** Amounts that scoring assumes for a container without requests, so that such pods are spread too. */
const usual: Amounts = { cpu: 100, memory: 200 * 1024 * 1024 };

const requestsOf = ({ resources }: Container, nonZero: boolean): Amounts => {
  const amounts = amountsOf(resources?.requests);
  if (nonZero) for (const resource in usual) amounts[resource] ||= usual[resource]!;
  return amounts;
};

/**
 * The requests of a pod: its containers together, or its largest init container with the sidecars started before it,
 * whichever is more. Pod-level requests override both; overhead is added.
 */
export function requestsOfPod({ spec }: Pod, nonZero = false): Amounts {
  const total: Amounts = {};
  for (const container of spec?.containers ?? []) add(total, requestsOf(container, nonZero));
  const sidecars: Amounts = {};
  const initial: Amounts = {};
  for (const container of spec?.initContainers ?? []) {
    const own = requestsOf(container, nonZero);
    if (container.restartPolicy === "Always") {
      add(total, own);
      add(sidecars, own);
      raise(initial, sidecars);
    } else {
      const together = { ...sidecars };
      add(together, own);
      raise(initial, together);
    }
  }
  raise(total, initial);
  Object.assign(total, amountsOf(spec?.resources?.requests));
  add(total, amountsOf(spec?.overhead));
  return total;
}

import { formatQuantity, parseQuantity, quantityMilliValue, quantityValue } from "#api";
import type { HostFacts } from "./facts.ts";

/** Quantities by resource: `cpu`, `memory`, `ephemeral-storage`. */
export type Reserved = Readonly<Record<string, string>>;

/** What pods may not request of a node. */
export interface Held {
  /** For the system, and for the node's own programs (the kubelet's --system-reserved and --kube-reserved). */
  reserved?: readonly Reserved[] | undefined;
  /** Bytes that hard evictions keep free. */
  memoryBytes?: number | undefined;
  storageBytes?: number | undefined;
}

export interface NodeAmounts {
  capacity: Record<string, string>;
  /** What pods may request. */
  allocatable: Record<string, string>;
  /** What pods may use: evictions keep the rest free. */
  enforced: Record<string, string>;
}

const names = ["cpu", "memory", "ephemeral-storage"];

/**
 * Parses the kubelet's form `cpu=500m,memory=1Gi`; "" reserves nothing. Throws an Error in the words of upstream's
 * parseResourceList.
 */
export function parseReserved(text: string): Reserved {
  const reserved: Record<string, string> = {};
  for (const part of text.split(",").filter((each) => each.trim() !== "")) {
    const [, name = "", amount = ""] = /^\s*([^=\s]*)\s*=\s*(\S*)\s*$/.exec(part) ?? [];
    if (amount === "") throw new Error(`${JSON.stringify(part)} is not of the form <resource>=<quantity>`);
    if (!names.includes(name)) throw new Error(`cannot reserve ${JSON.stringify(name)} resource`);
    const { mantissa } = parseQuantity(amount);
    if (mantissa < 0n) throw new Error(`resource quantity for ${JSON.stringify(name)} cannot be negative: ${amount}`);
    reserved[name] = amount;
  }
  return reserved;
}

const kibi = (bytes: number): string => `${Math.floor(bytes / 1024)}Ki`;
const decimal = (value: number, exponent = 0): string =>
  formatQuantity({ mantissa: BigInt(Math.floor(value)), exponent, format: "decimal" });

/**
 * A machine's capacity, and what is left of it for pods (upstream's GetNodeAllocatableReservation). Throws an Error when
 * more is held than there is.
 */
export function amountsOf(facts: HostFacts, { reserved = [], memoryBytes = 0, storageBytes = 0 }: Held, pods: number) {
  const sum = (name: string): number =>
    reserved.reduce((total, one) => {
      const amount = one[name] ?? "0";
      return total + Number(name === "cpu" ? quantityMilliValue(amount) : quantityValue(amount));
    }, 0);
  const left = (name: string, capacity: number, more = 0): number => {
    const rest = capacity - sum(name) - more;
    if (rest >= 0) return rest;
    const held = name === "cpu" ? decimal(sum(name), -3) : String(sum(name) + more);
    const total = name === "cpu" ? String(capacity / 1000) : String(capacity);
    const why = `Resource "${name}" has a reservation of ${held} but capacity of ${total}. Expected capacity >= reservation.`;
    throw new Error(`invalid Node Allocatable configuration. ${why}`);
  };
  const fixed = { pods: String(pods), "hugepages-1Gi": "0", "hugepages-2Mi": "0" };
  const milli = facts.cpus * 1000;
  const cpu = decimal(left("cpu", milli), -3);
  const storage = left("ephemeral-storage", facts.disk.bytes, storageBytes);
  return {
    capacity: {
      ...{ cpu: String(facts.cpus), ...fixed },
      ...{ "ephemeral-storage": kibi(facts.disk.bytes), memory: kibi(facts.memoryBytes) },
    },
    allocatable: {
      ...{ cpu, ...fixed, "ephemeral-storage": String(Math.floor(storage)) },
      memory: kibi(left("memory", facts.memoryBytes, memoryBytes)),
    },
    enforced: { cpu, memory: kibi(left("memory", facts.memoryBytes)) },
  } satisfies NodeAmounts;
}

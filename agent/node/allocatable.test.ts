import { expect, test } from "vitest";
import { amountsOf, parseReserved } from "./allocatable.ts";
import type { HostFacts } from "./facts.ts";

const facts = { cpus: 4, memoryBytes: 8 * 2 ** 30, disk: { bytes: 100 * 2 ** 30 } } as HostFacts;

// Upstream's GetNodeAllocatableReservation and getNodeAllocatableAbsoluteImpl.
test("pods may request what neither the system nor evictions hold, and use what is not reserved", () => {
  const reserved = [parseReserved("cpu=500m,memory=1Gi"), parseReserved("cpu=100m, ephemeral-storage=10Gi")];
  const { capacity, allocatable, enforced } = amountsOf(facts, { reserved, memoryBytes: 2 ** 20 }, 110);
  expect(capacity).toMatchObject({ cpu: "4", memory: "8388608Ki", "ephemeral-storage": "104857600Ki", pods: "110" });
  expect(allocatable).toMatchObject({ cpu: "3400m", memory: "7339008Ki", "ephemeral-storage": String(90 * 2 ** 30) });
  expect(enforced).toEqual({ cpu: "3400m", memory: "7340032Ki" });
  expect(amountsOf(facts, {}, 110).allocatable).toMatchObject({ cpu: "4", memory: "8388608Ki" });
});

// Upstream's parseResourceList and validateNodeAllocatable.
test("refuses reservations that are malformed, negative or more than there is", () => {
  expect(parseReserved("")).toEqual({});
  expect(() => parseReserved("cpu")).toThrow('"cpu" is not of the form <resource>=<quantity>');
  expect(() => parseReserved("gpu=1")).toThrow('cannot reserve "gpu" resource');
  expect(() => parseReserved("cpu=-1")).toThrow('resource quantity for "cpu" cannot be negative: -1');
  expect(() => parseReserved("memory=much")).toThrow();
  expect(() => amountsOf(facts, { reserved: [{ cpu: "5" }] }, 110)).toThrow(
    'invalid Node Allocatable configuration. Resource "cpu" has a reservation of 5 but capacity of 4. Expected capacity >= reservation.',
  );
});

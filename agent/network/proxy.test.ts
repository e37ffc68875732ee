import { expect, test } from "vitest";
import type { EndpointSlice, Service } from "#api";
import { silentLog } from "#base";
import { handClock, turn } from "#test/make";
import type { PortChange } from "./model.ts";
import { type ObjectChange, ServiceProxy } from "./proxy.ts";
import { service, slice } from "./testing/objects.ts";

/** A proxy over objects and a writer of the test. */
class Bench {
  readonly clock = handClock();
  readonly services: Service[] = [];
  readonly slices: EndpointSlice[] = [];
  /** Of each sync the endpoints of each changed port. */
  readonly syncs: string[][] = [];
  /** Services whose health check ports could not be opened. */
  readonly failures: string[] = [];
  invalidated = 0;
  error: Error | undefined;
  #listener: ((change: ObjectChange) => void) | undefined;
  readonly proxy = new ServiceProxy({
    node: { name: "here", zone: "" },
    family: "IPv4",
    source: {
      services: () => this.services,
      slices: () => this.slices,
      follow: (listener) => {
        this.#listener = listener;
        return () => {
          this.#listener = undefined;
        };
      },
    },
    writer: {
      sync: async (changes) => {
        this.syncs.push(changes.map(endpointsAfter));
        if (this.error) throw this.error;
      },
      invalidate: () => {
        this.invalidated++;
      },
    },
    clock: this.clock,
    log: silentLog,
    warn: (name) => this.failures.push(name),
    healthCheckAddress: "192.0.2.1",
  });

  get isFollowed(): boolean {
    return this.#listener !== undefined;
  }

  endpoints(...all: string[]): void {
    this.#listener?.({ kind: "EndpointSlice", object: slice(all), isDeleted: false });
  }

  change(object: Service): void {
    this.#listener?.({ kind: "Service", object, isDeleted: false });
  }

  async pass(milliseconds: number): Promise<void> {
    await turn();
    this.clock.move(milliseconds);
    await turn();
  }
}

/** Waits for work that the hand clock does not drive. */
async function until(what: () => boolean): Promise<void> {
  while (!what()) await turn();
}

const endpointsAfter = ({ after }: PortChange): string => (after?.cluster ?? []).map(({ ip }) => ip).join(" ");

test("writes all rules at the start, then what changed within a moment as one", async () => {
  const bench = new Bench();
  bench.services.push(service());
  bench.slices.push(slice(["10.0.0.1"]));
  await bench.proxy.start();
  expect(bench.syncs).toEqual([["10.0.0.1"]]);
  bench.endpoints("10.0.0.1", "10.0.0.2");
  await turn();
  bench.endpoints("10.0.0.2");
  await bench.pass(20);
  expect(bench.syncs.slice(1)).toEqual([["10.0.0.2"]]);
  await bench.proxy.stop();
  expect(bench.isFollowed).toBe(false);
});

test("a sync that fails is repeated, and the waits grow", async () => {
  const bench = new Bench();
  bench.services.push(service());
  await bench.proxy.start();
  bench.error = new Error("busy");
  bench.endpoints("10.0.0.1");
  await bench.pass(20);
  expect(bench.syncs).toHaveLength(2);
  await bench.pass(1000);
  await bench.pass(20);
  expect(bench.syncs).toHaveLength(3);
  bench.error = undefined;
  await bench.pass(1000);
  await bench.pass(20);
  expect(bench.syncs).toHaveLength(3);
  await bench.pass(1000);
  await bench.pass(20);
  expect(bench.syncs).toHaveLength(4);
  await bench.pass(3000);
  expect(bench.syncs).toHaveLength(4);
  await bench.proxy.stop();
});

test("everything is written again each hour, for rules that another program has changed", async () => {
  const bench = new Bench();
  await bench.proxy.start();
  await bench.pass(3_600_000);
  await bench.pass(20);
  expect([bench.invalidated, bench.syncs.length]).toEqual([1, 2]);
  await bench.pass(3_500_000);
  // Changes in between do not delay it.
  bench.endpoints("10.0.0.1");
  await bench.pass(20);
  await bench.pass(100_000);
  await bench.pass(20);
  expect(bench.invalidated).toBe(2);
  await bench.proxy.stop();
});

test("health checks follow changes whose first sync failed", async () => {
  const bench = new Bench();
  await bench.proxy.start();
  bench.error = new Error("busy");
  const spec = { type: "LoadBalancer", externalTrafficPolicy: "Local", healthCheckNodePort: 1 };
  // No port can be opened at this address of documentation: the failure shows the attempt.
  bench.change(service(spec));
  await bench.pass(20);
  expect(bench.failures).toEqual([]);
  bench.error = undefined;
  await bench.pass(1000);
  await bench.pass(20);
  await until(() => bench.failures.length > 0);
  expect(bench.failures).toEqual(["default/web"]);
  await bench.proxy.stop();
});

test("a start whose first rules are refused fails, and follows nothing", async () => {
  const bench = new Bench();
  bench.error = new Error("no kernel support");
  await expect(bench.proxy.start()).rejects.toThrow("no kernel support");
  expect(bench.isFollowed).toBe(false);
});

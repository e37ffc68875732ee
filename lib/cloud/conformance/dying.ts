import { describe, expect, test } from "vitest";
import type { LoadBalancer } from "#cloud";
import { type Bench, balance, type Fault, inOrder, persist, seen, unbalance, type World, web } from "./world.ts";

const faults: Fault[] = ["dead before", "dead after", "throttled", "lost"];
const mostCalls = 200;

/** A load balancer after a change of everything that may change. */
const changed = (nodes: readonly string[]): LoadBalancer =>
  web(nodes.slice(1), {
    ports: [
      { protocol: "TCP", port: 443, nodePort: 31443 },
      { protocol: "UDP", port: 53, nodePort: 30053 },
    ],
    sourceRanges: ["192.0.2.0/24"],
  });

interface Course {
  name: string;
  before(world: World, nodes: string[]): Promise<void>;
  /** The work that is interrupted at each of its calls. */
  cut(world: World, nodes: string[]): Promise<unknown>;
  /** The work of the next process, until it is complete. */
  after(world: World, nodes: string[]): Promise<unknown>;
  check(world: World, nodes: string[]): Promise<void>;
}

const nothing = async () => {};
const isComplete = (wanted: (nodes: string[]) => LoadBalancer) => async (world: World, nodes: string[]) => {
  expect(inOrder(await world.balancers())).toEqual(inOrder([seen(wanted(nodes))]));
  // It has no part beyond those of one that was created without interruption.
  await unbalance(world, wanted(nodes));
  expect(await world.things()).toEqual([]);
};

const courses: Course[] = [
  {
    name: "creating one",
    before: nothing,
    cut: (world, nodes) => world.cloud.ensureLoadBalancer(web(nodes)),
    after: (world, nodes) => balance(world, web(nodes)),
    check: isComplete(web),
  },
  {
    name: "changing one",
    before: (world, nodes) => balance(world, web(nodes)).then(nothing),
    cut: (world, nodes) => world.cloud.ensureLoadBalancer(changed(nodes)),
    after: (world, nodes) => balance(world, changed(nodes)),
    check: isComplete(changed),
  },
  {
    name: "creating one that is no longer desired",
    before: nothing,
    cut: (world, nodes) => world.cloud.ensureLoadBalancer(web(nodes)),
    after: (world, nodes) => unbalance(world, web(nodes)),
    check: async (world) => expect(await world.things()).toEqual([]),
  },
  {
    name: "removing one",
    before: (world, nodes) => balance(world, web(nodes)).then(nothing),
    cut: (world, nodes) => unbalance(world, web(nodes)),
    after: (world, nodes) => unbalance(world, web(nodes)),
    check: async (world) => expect(await world.things()).toEqual([]),
  },
  {
    name: "creating and moving a route",
    before: (world, [node = ""]) => world.cloud.ensureRoute({ block: "10.244.1.0/24", node }),
    cut: (world, [, node = ""]) => world.cloud.ensureRoute({ block: "10.244.1.0/24", node }),
    after: (world, [, node = ""]) =>
      persist(
        world,
        () => world.cloud.ensureRoute({ block: "10.244.1.0/24", node }),
        () => true,
      ),
    check: async (world, [, node = ""]) =>
      expect(await world.cloud.routes()).toEqual([{ block: "10.244.1.0/24", node, isComplete: true }]),
  },
];

export function dying({ open }: Bench): void {
  describe("the next run repairs a fault at any call", () => {
    for (const course of courses) {
      for (const fault of faults) {
        test(`${course.name}, ${fault}`, async () => {
          let call = 1;
          for (; call <= mostCalls; call++) {
            const world = await open();
            const nodes = [await world.addInstance(), await world.addInstance()];
            await course.before(world, nodes);
            world.arm(call, fault);
            await course.cut(world, nodes).catch(() => {});
            const hasOccurred = await world.revive();
            await course.after(world, nodes);
            await course.check(world, nodes);
            await world.close();
            if (!hasOccurred) break;
          }
          expect(call).toBeGreaterThan(1);
          expect(call).toBeLessThan(mostCalls);
        }, 60_000);
      }
    }
  });
}

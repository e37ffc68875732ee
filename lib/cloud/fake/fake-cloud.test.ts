import { expect, test } from "vitest";
import { cloudConformance, type Fault, type World } from "#cloud/conformance";
import { RetryAfter } from "#reconcile";
import { type Call, fakeCloud } from "./index.ts";

async function open(): Promise<World> {
  let armed: { call: number; fault: Fault } | undefined;
  let hasOccurred = false;
  let serial = 0;
  let calls = 0;
  const fail = ({ when }: Call): void => {
    if (!armed) return;
    if (when === "before") calls++;
    if (calls < armed.call) return;
    const isDead = armed.fault.startsWith("dead");
    if (calls > armed.call && isDead) throw new Error("the process is dead");
    if (calls > armed.call) return;
    const hits = armed.fault === "throttled" || armed.fault === "dead before" ? "before" : "after";
    if (when !== hits) return;
    hasOccurred = true;
    throw armed.fault === "throttled" ? new RetryAfter(1, "busy") : new Error(armed.fault);
  };
  const cloud = fakeCloud({ fail });
  return {
    cloud,
    addInstance: async () => {
      const node = `node-${++serial}`;
      cloud.addInstance(node);
      return node;
    },
    removeInstance: async (node) => cloud.removeInstance(node),
    settle: async () => cloud.settle(),
    balancers: async () =>
      [...cloud.balancers.values()]
        .filter(({ state }) => state !== "going")
        .map(({ service, ports, nodes, sourceRanges }) => ({
          uid: service.uid,
          ports: ports.map((port) => ({ ...port, nodes: [...nodes] })),
          sourceRanges: [...sourceRanges],
        })),
    things: async () => [...cloud.balancers.keys()],
    arm(call, fault) {
      armed = { call, fault };
      calls = 0;
      hasOccurred = false;
    },
    async revive() {
      armed = undefined;
      return hasOccurred;
    },
    close: async () => {},
  };
}

cloudConformance("the fake", { open, podCidr: "10.244.0.0/16" });

test("a failure rejects the call", async () => {
  const cloud = fakeCloud({
    fail: ({ method, when }) => {
      if (method === "routes" && when === "before") throw new Error("no");
    },
  });
  await expect(cloud.routes()).rejects.toThrow("no");
  expect(await cloud.loadBalancers()).toEqual([]);
  expect(cloud.counts.get("routes")).toBe(1);
});

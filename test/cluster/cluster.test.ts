import { expect, test } from "vitest";
import { configMaps, deployments, pods } from "#api";
import { make } from "#test/make";
import { openCluster, type TestCluster } from "./index.ts";

async function within<T>(cluster: TestCluster, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } finally {
    await cluster.close();
  }
}

test("reports the last reads of a condition that never holds, without real time", async () => {
  const cluster = await openCluster({ seed: 7 });
  await within(cluster, async () => {
    await cluster.client.create(configMaps, make.configMap());
    const start = cluster.clock.now();
    const never = cluster.until(async () => {
      const { data } = await cluster.client.get(configMaps, { namespace: "default", name: "settings" });
      return data?.["key"] === "another";
    }, 3600);
    await expect(never).rejects.toThrow(
      /^not within 3600 s \(seed 7, 2030-01-01T0\S+\); last seen: false\n {2}ConfigMap default\/settings: .*"key":"value"/,
    );
    expect(cluster.clock.now() - start).toBeLessThanOrEqual(3_600_000);
    expect(cluster.clock.now() - start).toBeGreaterThan(3_000_000);
  });
});

test("the clock does not move while there is anything else to do", async () => {
  const cluster = await openCluster();
  await within(cluster, async () => {
    const start = cluster.clock.now();
    await cluster.addNode("one");
    await cluster.client.create(deployments, make.deployment({ spec: { replicas: 3 } } as never));
    await cluster.until(async () => (await cluster.client.list(pods)).items.length === 3);
    expect(cluster.clock.now()).toBe(start);
    await cluster.pass(1500);
    expect(cluster.clock.now()).toBe(start + 1500);
  });
});

/** The history of a new deployment: the place of each write in the log, by object. */
async function history(seed: number): Promise<string[]> {
  const cluster = await openCluster({ seed });
  return within(cluster, async () => {
    await cluster.addNode("one");
    await cluster.addNode("two");
    await cluster.client.create(deployments, make.deployment({ spec: { replicas: 5 } } as never));
    await cluster.until(async () => {
      await cluster.playAgents();
      const { items } = await cluster.client.list(pods);
      return items.length === 5 && items.every(({ status }) => status?.phase === "Running");
    });
    const { items } = await cluster.client.list(pods);
    return items.map(({ metadata, spec }) => `${metadata.name} ${metadata.resourceVersion} ${spec?.nodeName}`);
  });
}

test("the same seed yields the same history, another seed another one", async () => {
  expect(await history(1)).toEqual(await history(1));
  expect(await history(2)).not.toEqual(await history(1));
});

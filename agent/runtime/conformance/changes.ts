import { expect, test } from "vitest";
import { type Stage, until } from "./stage.ts";

/** Changes, statistics and restarts of the agent. */
export function changeTests(stage: Stage): void {
  test("changes yields existing pods first, then each pod that changes", async () => {
    const before = await stage.runPod(["sleep", "1000"]);
    const stop = new AbortController();
    const seen: string[] = [];
    const watching = (async () => {
      for await (const uid of stage.runtime.changes(stop.signal)) seen.push(uid);
    })();
    await until(async () => seen.includes(before.spec.uid));
    const after = await stage.runPod(["sleep", "0.1"]);
    await stage.exited(after.spec.uid, after.id);
    await until(async () => seen.includes(after.spec.uid));
    await new Promise((resolve) => setTimeout(resolve, 50));
    seen.length = 0;
    await stage.runtime.pods.stopContainer(before.id, 0);
    await until(async () => seen.includes(before.spec.uid));
    stop.abort();
    await watching;
  });

  test("statistics include each running container", async () => {
    const { spec, id } = await stage.runPod(["sleep", "1000"]);
    const found = await until(async () => {
      const [pod] = await stage.runtime.streams.stats({ uid: spec.uid });
      return pod?.containers.some((one) => one.memoryWorkingSetBytes !== undefined) && pod;
    });
    expect(found).toMatchObject({ name: spec.name, namespace: "conformance", uid: spec.uid });
    expect(found.containers).toMatchObject([{ containerId: id, name: "main" }]);
    expect(found.containers[0]!.memoryWorkingSetBytes).toBeGreaterThan(0);
  });

  test("lists running containers after a restart of the agent", async () => {
    if (!stage.setting.reopen) return;
    const { spec, id } = await stage.runPod(["sh", "-c", "echo before; sleep 1000"]);
    const next = await stage.setting.reopen();
    const [found] = await next.pods.list({ uid: spec.uid });
    expect(found).toMatchObject({ state: "ready", annotations: spec.annotations });
    expect(found!.containers).toMatchObject([{ id, state: "running" }]);
    await next.pods.removeSandbox(found!.id);
    await next.close();
  });
}

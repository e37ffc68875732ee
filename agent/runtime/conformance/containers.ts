import { expect, test } from "vitest";
import { type Stage, until } from "./stage.ts";

/** The start and the end of containers. */
export function containerTests(stage: Stage): void {
  test("reports how a container ended", async () => {
    const { spec, id } = await stage.runPod(["sh", "-c", "echo out; echo err >&2; exit 3"]);
    const ended = await stage.exited(spec.uid, id);
    expect(ended).toMatchObject({
      name: "main",
      attempt: 0,
      exitCode: 3,
      reason: "Error",
      image: stage.setting.image,
      labels: { "container-label": "yes" },
      annotations: { "container-note": "kept" },
    });
    expect(ended.startedAt).toBeGreaterThan(0);
    // Different processes record start and end: a container that ends at once may seem to end first.
    expect(ended.finishedAt! - ended.startedAt!).toBeGreaterThan(-1000);
    expect(await stage.logs(id)).toMatch(/^(out\nerr\n|err\nout\n)$/);
    expect(await stage.logs(id, { stream: "stderr" })).toBe("err\n");
  });

  test("starts one container for each attempt and keeps the log of earlier attempts", async () => {
    const { spec, sandbox, id, container } = await stage.runPod(["echo", "first"]);
    await stage.exited(spec.uid, id);
    const start = { sandboxId: sandbox.id, sandbox: spec };
    expect(await stage.runtime.pods.startContainer({ ...start, container })).toBe(id);
    const second = stage.containerSpec(["echo", "second"], { attempt: 1 });
    const secondId = await stage.runtime.pods.startContainer({ ...start, container: second });
    expect(secondId).not.toBe(id);
    expect(await stage.exited(spec.uid, secondId)).toMatchObject({ attempt: 1, exitCode: 0, reason: "Completed" });
    expect(await stage.logs(id)).toBe("first\n");
    expect(await stage.logs(secondId)).toBe("second\n");
    await stage.runtime.pods.removeContainer(id);
    await stage.runtime.pods.removeContainer(id);
    expect((await stage.find(spec.uid))?.containers.map((one) => one.id)).toEqual([secondId]);
  });

  test("stops a container within its grace period and kills a running container that is removed", async () => {
    const { spec, sandbox, id } = await stage.runPod(["sleep", "1000"]);
    expect(await stage.containerOf(spec.uid, id)).toMatchObject({ state: "running" });
    await stage.runtime.pods.stopContainer(id, 1);
    const ended = await stage.containerOf(spec.uid, id);
    expect(ended?.state).toBe("exited");
    expect(ended?.exitCode).not.toBe(0);
    await stage.runtime.pods.stopContainer(id, 1);
    const container = stage.containerSpec(["sleep", "1000"], { name: "other" });
    const other = await stage.runtime.pods.startContainer({ sandboxId: sandbox.id, sandbox: spec, container });
    await stage.runtime.pods.removeContainer(other);
    expect(await stage.containerOf(spec.uid, other)).toBeUndefined();
    const killed = stage.containerSpec(["sleep", "1000"], { name: "killed" });
    const killedId = await stage.runtime.pods.startContainer({
      sandboxId: sandbox.id,
      sandbox: spec,
      container: killed,
    });
    await stage.runtime.pods.stopContainer(killedId, 0);
    expect(await stage.containerOf(spec.uid, killedId)).toMatchObject({ state: "exited", exitCode: 137 });
  });

  test("ends the containers of a stopped sandbox and keeps them listed with their logs", async () => {
    const { spec, sandbox, id } = await stage.runPod(["sh", "-c", "echo here; sleep 1000"]);
    await until(async () => (await stage.logs(id)) === "here\n");
    await stage.runtime.pods.stopSandbox(sandbox.id);
    expect(await stage.containerOf(spec.uid, id)).toMatchObject({ state: "exited" });
    expect(await stage.logs(id)).toBe("here\n");
  });
}

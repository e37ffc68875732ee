import { expect, test } from "vitest";
import { isRuntimeError } from "../index.ts";
import type { Stage } from "./stage.ts";

/** Sandboxes, images and the runtime itself. */
export function sandboxTests(stage: Stage): void {
  test("reports its name, its version and that it is ready", async () => {
    const info = await stage.runtime.info();
    expect(info.name).not.toBe("");
    expect(info.version).not.toBe("");
    expect(info.conditions.map(({ type, status }) => `${type}=${status}`).sort()).toEqual([
      "NetworkReady=true",
      "RuntimeReady=true",
    ]);
  });

  test("creates, lists, stops and removes a sandbox idempotently", async () => {
    const spec = stage.sandboxSpec();
    const first = await stage.runtime.pods.runSandbox(spec);
    const again = await stage.runtime.pods.runSandbox(spec);
    expect(again.id).toBe(first.id);
    const found = await stage.find(spec.uid);
    expect(found).toMatchObject({
      id: first.id,
      name: spec.name,
      namespace: "conformance",
      uid: spec.uid,
      attempt: 0,
      state: "ready",
      labels: spec.labels,
      annotations: spec.annotations,
      containers: [],
    });
    expect(found!.ips).toEqual(first.ips);
    if ((await stage.runtime.info()).features.podNetwork) expect(first.ips[0]).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
    await stage.runtime.pods.stopSandbox(first.id);
    await stage.runtime.pods.stopSandbox(first.id);
    expect(await stage.find(spec.uid)).toMatchObject({ state: "notReady" });
    const other = await stage.runtime.pods.runSandbox(stage.sandboxSpec());
    if ((await stage.runtime.info()).features.podNetwork) expect(other.ips[0]).not.toBe(first.ips[0]);
    const next = await stage.runtime.pods.runSandbox({ ...spec, attempt: 1 });
    expect(next.id).not.toBe(first.id);
    for (const id of [first.id, next.id, first.id]) await stage.runtime.pods.removeSandbox(id);
    await stage.runtime.pods.stopSandbox(first.id);
    expect(await stage.find(spec.uid)).toBeUndefined();
  });

  test("refuses by name what its stated features lack", async () => {
    const { features } = await stage.runtime.info();
    const unsupported = (error: unknown) => isRuntimeError(error, "unsupported");
    if (!features.userNamespaces) {
      const spec = stage.sandboxSpec();
      const refused = stage.runtime.pods.runSandbox({ ...spec, host: { ...spec.host, users: false } });
      await expect(refused).rejects.toSatisfy(unsupported);
      expect(await stage.find(spec.uid)).toBeUndefined();
    }
  });

  test("finds an image after its pull and rejects the pull of a missing image", async () => {
    const found = await stage.runtime.images.find(stage.setting.image);
    expect(found?.id).toBe(stage.imageId);
    expect((await stage.runtime.images.list()).some((image) => image.id === stage.imageId)).toBe(true);
    expect(await stage.runtime.images.find(stage.setting.missingImage)).toBeUndefined();
    await expect(stage.runtime.images.pull(stage.setting.missingImage)).rejects.toSatisfy(
      (error) => isRuntimeError(error, "notFound") || isRuntimeError(error, "registry"),
    );
  });

  test("rejects reads of unknown ids with notFound and succeeds in ending them", async () => {
    const unknown = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const missing = (error: unknown) => isRuntimeError(error, "notFound");
    await stage.runtime.pods.stopContainer(unknown, 1);
    await stage.runtime.pods.removeContainer(unknown);
    await stage.runtime.pods.stopSandbox(unknown);
    await stage.runtime.pods.removeSandbox(unknown);
    await expect(stage.runtime.streams.run(unknown, ["true"], 1)).rejects.toSatisfy(missing);
    await expect(stage.logs(unknown)).rejects.toSatisfy(missing);
    await expect(stage.runtime.streams.forward(unknown, 80)).rejects.toSatisfy(missing);
    const request = { containerId: unknown, command: ["true"], stdin: false, stdout: true, stderr: true, tty: false };
    await expect(stage.runtime.streams.exec(request)).rejects.toSatisfy(missing);
  });
}

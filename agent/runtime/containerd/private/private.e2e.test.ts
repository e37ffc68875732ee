import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { containerdRuntime } from "#agent/runtime/containerd";
import { pushStandIns } from "#agent/runtime/oci";
import { plainContainer, plainSandbox } from "#agent/runtime/testing";
import { silentLog, systemClock } from "#base";
import { namedAfter, parseMirrors, sandboxImageName, startPrivate, stopPrivate } from "./index.ts";
import { findProcess } from "./process.ts";

const answering = async (url: string): Promise<void> => {
  for (;;) {
    if (
      await fetch(url).then(
        (answer) => answer.ok,
        () => false,
      )
    )
      return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

test("pulls from a mirror, adopts a running containerd with its containers, and leaves nothing at the end", async () => {
  const folder = await mkdtemp("/tmp/skiff-");
  const registry = "http://127.0.0.1:5017";
  const config = `version: 0.1\nstorage: {filesystem: {rootdirectory: ${folder}/registry}}\nhttp: {addr: 127.0.0.1:5017}\n`;
  await writeFile(`${folder}/registry.yml`, config);
  const child = spawn("docker-registry", ["serve", `${folder}/registry.yml`], { stdio: "ignore" });
  try {
    await answering(`${registry}/v2/`);
    await pushStandIns(registry);
    const network = { ...namedAfter("private-test"), podCidr: "10.202.0.0/24", masquerade: true };
    const options = { folder, network, mirrors: parseMirrors([registry]), log: silentLog };
    const first = await startPrivate(options);
    expect(first.adopted).toBe(false);
    const open = () => containerdRuntime({ socket: first.socket, owner: "private-test", clock: systemClock });
    const runtime = open();
    const image = await runtime.images.pull("nginx:1.14.2");
    expect(image.tags).toContain("docker.io/library/nginx:1.14.2");
    const [pinned] = (await runtime.images.list()).filter((one) => one.pinned);
    expect(pinned?.tags).toEqual([sandboxImageName]);
    const sandbox = plainSandbox({
      name: "web",
      namespace: "default",
      uid: "6c6b1b4e-0000-4000-8000-000000000001",
      logDirectory: `${folder}/logs`,
    });
    const { id: sandboxId, ips } = await runtime.pods.runSandbox(sandbox);
    const id = await runtime.pods.startContainer({
      sandboxId,
      sandbox,
      container: plainContainer({ name: "web", image: "nginx:1.14.2", imageId: image.id }),
    });
    await answering(`http://${ips[0]}/`);
    await runtime.close();

    expect(await startPrivate(options)).toEqual({ ...first, adopted: true });
    process.kill(first.pid, "SIGKILL");
    while ((await findProcess(`${folder}/config.toml`)) !== undefined) await new Promise(setImmediate);
    await answering(`http://${ips[0]}/`);
    const again = await startPrivate(options);
    expect(again.adopted).toBe(false);
    const next = open();
    expect(await next.pods.list()).toMatchObject([{ id: sandboxId, ips, containers: [{ id, state: "running" }] }]);
    await next.close();

    await stopPrivate(folder);
    expect(await findProcess(`${folder}/config.toml`)).toBeUndefined();
    expect(await readFile("/proc/mounts", "utf8")).not.toContain(folder);
  } finally {
    child.kill();
    await stopPrivate(folder);
    await rm(folder, { recursive: true, force: true });
  }
});

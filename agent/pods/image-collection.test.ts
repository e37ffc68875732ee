import { expect, test } from "vitest";
import { defaultSecurity, type SandboxSpec } from "#agent/runtime";
import { fakeRuntime } from "#agent/runtime/fake";
import { silentLog } from "#base";
import { handClock } from "#test/make";
import { ImageCollection } from "./image-collection.ts";

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
};

test("removes unused images when the disk is full, the longest unused first, and no more than needed", async () => {
  const clock = handClock(Date.parse("2026-01-01T00:00:00Z"), settle);
  const runtime = fakeRuntime({ clock });
  const sandbox: SandboxSpec = {
    ...{ name: "p", namespace: "default", uid: "u", attempt: 0, hostname: "p", shareProcesses: false, ports: [] },
    ...{ host: { network: false, pid: false, ipc: false, users: true }, logDirectory: "", sysctls: {}, handler: "" },
    ...{ security: defaultSecurity(), labels: {}, annotations: {} },
  };
  const { id: sandboxId } = await runtime.pods.runSandbox(sandbox);
  const image = await runtime.images.pull("used:1");
  await runtime.pods.startContainer({
    sandboxId,
    sandbox,
    container: {
      ...{ name: "c", attempt: 0, image: "used:1", imageId: image.id, workingDirectory: "", env: [], mounts: [] },
      ...{ devices: [], resources: {}, security: defaultSecurity(), tty: false, stdin: false, stdinOnce: false },
      ...{ logPath: "", labels: {}, annotations: {} },
    },
  });
  await runtime.images.pull("old:1");
  await runtime.images.pull("files:1");
  const tags = async () => (await runtime.images.list()).flatMap((one) => one.tags);
  let freeBytes = 5_000_000;
  const stop = new AbortController();
  const disk = async () => ({ bytes: 10_000_000, freeBytes });
  const collection = new ImageCollection({
    runtime,
    inVolumes: () => ["files:1", "absent:1"],
    clock,
    log: silentLog,
    disk,
  });
  const collecting = collection.run(stop.signal);
  await clock.forward(300_000);
  await runtime.images.pull("middle:1");
  await clock.forward(300_000);
  await runtime.images.pull("young:1");
  expect(await tags()).toEqual(["used:1", "old:1", "files:1", "middle:1", "young:1"]);
  // A megabyte too much: one image.
  freeBytes = 1_000_000;
  await clock.forward(300_000);
  expect(await tags()).toEqual(["used:1", "files:1", "middle:1", "young:1"]);
  freeBytes = 0;
  await clock.forward(300_000);
  // Images in use are not removed, however full the disk is.
  expect(await tags()).toEqual(["used:1", "files:1"]);
  stop.abort();
  await collecting;
});

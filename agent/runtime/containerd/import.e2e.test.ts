import { mkdtemp, rm } from "node:fs/promises";
import { expect, test } from "vitest";
import { namedAfter, startPrivate, stopPrivate } from "#agent/runtime/containerd/private";
import { buildImage } from "#agent/runtime/oci";
import { silentLog, systemClock } from "#base";
import { containerdRuntime, importImage } from "./index.ts";

// containerd's CRI plugin learns of images from events, after their creation has been answered.
test("an imported image can be used at once", async () => {
  const folder = await mkdtemp("/tmp/skiff-");
  const network = { ...namedAfter("import-test"), podCidr: "10.203.0.0/24", masquerade: false };
  try {
    const { socket } = await startPrivate({ folder, network, mirrors: {}, log: silentLog });
    const runtime = containerdRuntime({ socket, owner: "import-test", clock: systemClock });
    for (let number = 0; number < 40; number++) {
      const name = `registry.invalid/imported:${number}`;
      const layers = [[{ path: "file", bytes: Buffer.from(String(number)) }]];
      const image = buildImage({ architecture: "amd64", layers, command: ["/file"], env: {} });
      await importImage(socket, name, image);
      expect(await runtime.images.find(name)).toMatchObject({ id: image.config.digest, tags: [name] });
      await importImage(socket, "registry.invalid/imported:again", image);
      expect(await runtime.images.find("registry.invalid/imported:again")).toMatchObject({ id: image.config.digest });
    }
    await runtime.close();
  } finally {
    await stopPrivate(folder);
    await rm(folder, { recursive: true, force: true });
  }
});

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { importImage } from "#agent/runtime/containerd";
import { namedAfter, startPrivate, stopPrivate } from "#agent/runtime/containerd/private";
import { buildImage } from "#agent/runtime/oci";
import { silentLog, systemClock } from "#base";
import { runtimeConformance } from "../conformance/index.ts";
import { containerdRuntime } from "./index.ts";

const applets = "sh echo cat sleep env hostname pwd seq nc tar ls true false id date".split(" ");

runtimeConformance("containerd", async () => {
  // Unix socket paths are short.
  const folder = await mkdtemp("/tmp/skiff-");
  const network = { ...namedAfter("conformance"), podCidr: "10.201.0.0/24", masquerade: false };
  const { socket } = await startPrivate({ folder, network, mirrors: {}, log: silentLog });
  const image = buildImage({
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    layers: [
      [
        { path: "bin/busybox", bytes: await readFile("/bin/busybox"), mode: 0o755 },
        ...applets.map((name) => ({ path: `bin/${name}`, link: "busybox" })),
        { path: "tmp", mode: 0o1777 },
      ],
    ],
    command: ["sh"],
    env: { PATH: "/bin" },
  });
  const name = "registry.invalid/busybox:1";
  await importImage(socket, name, image);
  const open = () => containerdRuntime({ socket, owner: "conformance", clock: systemClock });
  const runtime = open();
  // The image is in no registry: an imported image counts as pulled.
  const images = { ...runtime.images, pull: pullOrFind(runtime.images) };
  return {
    runtime: { ...runtime, images },
    image: name,
    missingImage: "localhost:1/none:1",
    cgroupParent: "/skiff-conformance",
    reopen: async () => open(),
    close: async () => {
      await runtime.close();
      await stopPrivate(folder);
      await rm(folder, { recursive: true, force: true });
    },
  };
});

function pullOrFind(images: ReturnType<typeof containerdRuntime>["images"]) {
  return async (reference: string) => (await images.find(reference)) ?? images.pull(reference);
}

import { mkdtemp, rm } from "node:fs/promises";
import { runtimeConformance } from "../conformance/index.ts";
import {
  type EngineProgram,
  isInstalled,
  loadBusybox,
  openDocker,
  removeNetwork,
  startEngine,
} from "./testing/index.ts";

const image = "registry.invalid/busybox:1";

/** dockerd runs the suite where it is installed. */
const programs: EngineProgram[] = ["podman", ...((await isInstalled("dockerd")) ? (["dockerd"] as const) : [])];

for (const [index, program] of programs.entries()) {
  runtimeConformance(`docker with ${program}`, async () => {
    // Unix socket paths are short.
    const folder = await mkdtemp("/tmp/skiff-");
    const engine = await startEngine(program, `${folder}/engine`);
    await loadBusybox(engine.socket, image);
    const owner = `conformance-${program}`;
    const open = async () =>
      (await openDocker({ socket: engine.socket, folder, owner, podCidr: `10.${212 + index}.0.0/24` })).runtime;
    const runtime = await open();
    // The image is in no registry: a loaded image counts as pulled.
    const find = async (reference: string) => (await runtime.images.find(reference)) ?? runtime.images.pull(reference);
    const { images } = runtime;
    return {
      runtime: {
        ...runtime,
        images: {
          find: (reference) => images.find(reference),
          pull: find,
          list: () => images.list(),
          remove: (reference) => images.remove(reference),
        },
      },
      image,
      missingImage: "localhost:1/none:1",
      cgroupParent: "/skiff-conformance",
      reopen: open,
      close: async () => {
        await runtime.close();
        await engine.stop();
        await removeNetwork(owner);
        await rm(folder, { recursive: true, force: true });
      },
    };
  });
}

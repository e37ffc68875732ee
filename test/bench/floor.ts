import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { containerdRuntime } from "#agent/runtime/containerd";
import { plainContainer, plainSandbox } from "#agent/runtime/testing";
import { systemClock } from "#base";

/**
 * The runtime's own time for pods of one container that start at once: sandbox with network, container created and
 * started. Milliseconds of each pod.
 */
export async function runtimeFloor(
  dataDir: string,
  image: string,
  { pods, rounds }: { pods: number; rounds: number },
): Promise<number[]> {
  const socket = join(dataDir, "agents/containerd/containerd/containerd.sock");
  const runtime = containerdRuntime({ socket, owner: "bench", clock: systemClock });
  const logs = mkdtempSync(join(tmpdir(), "skiff-floor-"));
  const samples: number[] = [];
  try {
    const imageId = (await runtime.images.find(image))?.id;
    if (imageId === undefined) throw new Error(`${image} is not on the node`);
    const start = async (index: number): Promise<string> => {
      const uid = `00000000-0000-4000-9000-${String(index).padStart(12, "0")}`;
      const sandbox = plainSandbox({ name: `floor-${index}`, namespace: "bench", uid, logDirectory: join(logs, uid) });
      const container = plainContainer({ image, imageId, command: ["sleep", "1000"] });
      const from = performance.now();
      const { id } = await runtime.pods.runSandbox(sandbox);
      await runtime.pods.startContainer({ sandboxId: id, sandbox, container });
      samples.push(performance.now() - from);
      return id;
    };
    for (let round = 0; round < rounds; round++) {
      const started = await Promise.all(Array.from({ length: pods }, (_, index) => start(round * pods + index)));
      await Promise.all(
        started.map(async (id) => {
          await runtime.pods.stopSandbox(id);
          await runtime.pods.removeSandbox(id);
        }),
      );
    }
  } finally {
    await runtime.close();
    rmSync(logs, { recursive: true, force: true });
  }
  return samples;
}

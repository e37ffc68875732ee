import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { containerdRuntime } from "#agent/runtime/containerd";
import { plainContainer, plainSandbox } from "#agent/runtime/testing";
import { systemClock } from "#base";

/**
 * The runtime's own time for a pod of one container: sandbox with network, container created and started. Milliseconds.
 */
export async function runtimeFloor(dataDir: string, image: string, rounds: number): Promise<number[]> {
  const socket = join(dataDir, "agents/containerd/containerd/containerd.sock");
  const runtime = containerdRuntime({ socket, owner: "bench", clock: systemClock });
  const logs = mkdtempSync(join(tmpdir(), "skiff-floor-"));
  const samples: number[] = [];
  try {
    const imageId = (await runtime.images.find(image))?.id;
    if (imageId === undefined) throw new Error(`${image} is not on the node`);
    for (let round = 0; round < rounds; round++) {
      const uid = `00000000-0000-4000-9000-${String(round).padStart(12, "0")}`;
      const sandbox = plainSandbox({ name: `floor-${round}`, namespace: "bench", uid, logDirectory: join(logs, uid) });
      const container = plainContainer({ image, imageId, command: ["sleep", "1000"] });
      const from = performance.now();
      const { id } = await runtime.pods.runSandbox(sandbox);
      await runtime.pods.startContainer({ sandboxId: id, sandbox, container });
      samples.push(performance.now() - from);
      await runtime.pods.stopSandbox(id);
      await runtime.pods.removeSandbox(id);
    }
  } finally {
    await runtime.close();
    rmSync(logs, { recursive: true, force: true });
  }
  return samples;
}

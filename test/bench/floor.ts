import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defaultSecurity } from "#agent/runtime";
import { containerdRuntime } from "#agent/runtime/containerd";
import { systemClock } from "#base";

/** What the runtime itself takes for a pod of one container: sandbox with network, container made and started. Milliseconds. */
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
      const sandbox = {
        name: `floor-${round}`,
        namespace: "bench",
        uid,
        attempt: 0,
        hostname: `floor-${round}`,
        host: { network: false, pid: false, ipc: false, users: true },
        shareProcesses: false,
        ports: [],
        logDirectory: join(logs, uid),
        sysctls: {},
        security: defaultSecurity(),
        labels: {},
        annotations: {},
        handler: "",
      };
      const container = {
        name: "main",
        attempt: 0,
        image,
        imageId,
        command: ["sleep", "1000"],
        workingDirectory: "",
        env: [],
        mounts: [],
        devices: [],
        resources: {},
        security: defaultSecurity(),
        tty: false,
        stdin: false,
        stdinOnce: false,
        logPath: "main.log",
        labels: {},
        annotations: {},
      };
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

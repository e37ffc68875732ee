import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import type { SkiffProcess } from "../kubectl/cluster.ts";

/** Stops a cluster with its containers and removes its folder. Throws with the output when that fails. */
export async function skiffDown(skiff: SkiffProcess): Promise<void> {
  const child = spawn(process.execPath, ["lib/cli/skiff.ts", "down", "--data-dir", skiff.dataDir], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (chunk) => {
    said += chunk;
  });
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`skiff down ended with code ${code}:\n${said}`);
  rmSync(skiff.dataDir, { recursive: true, force: true });
}

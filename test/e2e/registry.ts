import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pushImage, pushStandIns, standInImages } from "#agent/runtime/oci";

/** A registry on this machine. */
export interface Registry {
  /** Such as `127.0.0.1:5000`. */
  address: string;
  stop(): Promise<void>;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Starts Debian's docker-registry with the stand-ins for the course's manifests. `host` is an address of this machine. */
export async function startRegistry(host?: string): Promise<Registry> {
  const registry = await openRegistry(host);
  const url = `http://${registry.address}`;
  await pushStandIns(url);
  // The course's pod uses an image that its readers build themselves.
  const images = await standInImages();
  await pushImage(url, "library/my-app-image", "latest", images["nginx:latest"]!);
  return registry;
}

/** Starts Debian's docker-registry, empty, on the loopback by default. */
export async function openRegistry(host = "127.0.0.1"): Promise<Registry> {
  const folder = mkdtempSync(join(tmpdir(), "skiff-registry-"));
  const address = `${host}:${await freePort()}`;
  const config = join(folder, "config.yml");
  writeFileSync(
    config,
    JSON.stringify({
      version: 0.1,
      log: { level: "error" },
      storage: { filesystem: { rootdirectory: folder } },
      http: { addr: address },
    }),
  );
  const child = spawn("docker-registry", ["serve", config], { stdio: "ignore" });
  const failed = once(child, "error").then(([error]) => Promise.reject(error));
  for (let attempt = 0; ; attempt++) {
    const up = await Promise.race([
      fetch(`http://${address}/v2/`).then(
        ({ ok }) => ok,
        () => false,
      ),
      failed,
    ]);
    if (up) break;
    if (attempt > 100) throw new Error("docker-registry does not answer");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    address,
    async stop() {
      child.kill("SIGTERM");
      await once(child, "exit");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

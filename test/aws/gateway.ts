import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Built, Stage } from "./stage.ts";

/** The gateway's process, as its image starts it. */
export interface GatewayProcess {
  url: string;
  /** From its start until it served. */
  seconds: number;
  lines: string[];
  /** Memory that it holds now, in MiB. */
  resident(): number;
  /** Sends SIGTERM and waits for the exit code. */
  stop(): Promise<number | null>;
}

/** The name by which the stand-in for AWS identifies its calls. */
export const gatewayInstance = "gateway";

/** The task metadata of ECS, as far as the address. */
async function startMetadata(address: string): Promise<{ url: string; stop(): void }> {
  const Networks = [{ NetworkMode: "awsvpc", IPv4Addresses: [address], AttachmentIndex: 0 }];
  const server = createServer((_, response) => response.end(JSON.stringify({ Name: "gateway", Networks })));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const stop = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v4/task`, stop };
}

/** A loopback address that is in the gateway's certificate only by this. */
const taskAddress = "127.0.0.2";

/** Starts it on any free port. Rejects with its output when it exits instead of serving. */
export async function startGateway(stage: Stage, built: Built): Promise<GatewayProcess> {
  const metadata = await startMetadata(taskAddress);
  const child: ChildProcess = spawn(process.execPath, [join(built.gateway, "gateway.mjs")], {
    stdio: ["ignore", "pipe", "inherit"],
    env: {
      ...stage.functions.get("api")!.deployed.environment,
      PATH: process.env["PATH"],
      AWS_REGION: "eu-west-1",
      AWS_ACCESS_KEY_ID: "local",
      AWS_SECRET_ACCESS_KEY: "local",
      AWS_ENDPOINT_URL: stage.cloud.endpointFor(gatewayInstance),
      SKIFF_GATEWAY_NAME: "localhost",
      SKIFF_PORT: "0",
      ECS_CONTAINER_METADATA_URI_V4: metadata.url,
      NODE_OPTIONS: "--max-semi-space-size=8 --max-old-space-size=400",
    },
  });
  const exit = once(child, "exit") as Promise<[number | null]>;
  void exit.then(metadata.stop);
  const lines: string[] = [];
  const serving = new Promise<{ port: number; seconds: number }>((resolve) => {
    createInterface({ input: child.stdout! }).on("line", (line) => {
      lines.push(line);
      const said = JSON.parse(line) as { message: string; port: number; seconds: number };
      if (said.message === "the gateway serves") resolve(said);
    });
  });
  const ended = exit.then(([code]): never => {
    throw new Error(`the gateway ended with ${code}: ${lines.join("\n")}`);
  });
  ended.catch(() => {});
  const { port, seconds } = await Promise.race([serving, ended]);
  return {
    url: `https://localhost:${port}`,
    seconds,
    lines,
    resident: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]) / 1024,
    async stop() {
      child.kill("SIGTERM");
      return (await exit)[0];
    },
  };
}

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { globSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Person } from "./principals.ts";
import type { Built, Stage } from "./stage.ts";
import type { WhoIs } from "./sts.ts";

/** An EC2 instance with the node's role; its credentials identify it. */
export interface Instance extends Person {
  id: string;
}

export const instance = (id: string): Instance => ({
  id,
  accessKeyId: `ASIA${id.slice(2).toUpperCase()}`,
  secretAccessKey: `secret-of-${id}`,
});

const environmentOf = (built: Built, name: string): string =>
  built.wiring.functions.find((one) => one.name === "api")!.environment[name]!;

/** The owners of instances' keys: sessions of the node's role, which EC2 names by the instance. */
export function whoseInstance(built: Built, instances: readonly Instance[]): WhoIs {
  const role = environmentOf(built, "SKIFF_NODE_ROLES").replace(":iam:", ":sts:").replace(":role/", ":assumed-role/");
  return (accessKey) => {
    const found = instances.find((one) => one.accessKeyId === accessKey);
    return found && { arn: `${role}/${found.id}`, secret: found.secretAccessKey };
  };
}

/** A real agent, as it is deployed. */
export interface Agent {
  id: string;
  /** Kills it with SIGKILL. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

export interface AgentOptions {
  stage: Stage;
  built: Built;
  instance: Instance;
  folder: string;
  labels?: Record<string, string>;
  /** The cluster may have a gateway. */
  gateway?: boolean;
  output?: (line: string) => void;
}

/** Starts the bundled agent with the configuration that an instance's first start writes, but for played containers. */
export function startAgent(options: AgentOptions): Agent {
  const { stage, built, instance: own, folder, labels = {}, gateway = false, output } = options;
  mkdirSync(folder, { recursive: true });
  const config = join(folder, "agent.json");
  const group = environmentOf(built, "SKIFF_POD_LOG_GROUP");
  writeFileSync(
    config,
    JSON.stringify({
      server: `${stage.url}/iam`,
      ca: stage.ca,
      region: "eu-west-1",
      sigv4: true,
      link: stage.dial,
      runtime: "fake",
      dataDir: join(folder, "data"),
      podLogGroup: group,
      ...(gateway ? { gateway: { clusterId: stage.clusterId } } : {}),
      registryMirrors: [],
      verbose: false,
      labels,
      nodes: [{ name: own.id }],
    }),
  );
  const [program] = globSync(join(built.assembly, "asset.*/agent.mjs"));
  const child: ChildProcess = spawn(process.execPath, [program!, "--config", config], {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env["PATH"],
      HOME: folder,
      AWS_ACCESS_KEY_ID: own.accessKeyId,
      AWS_SECRET_ACCESS_KEY: own.secretAccessKey,
      AWS_ENDPOINT_URL: stage.cloud.endpointFor(own.id),
    },
  });
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.on("data", (chunk: Buffer) => {
      for (const line of String(chunk).split("\n")) if (line !== "") output?.(line);
    });
  }
  const end = async (signal: "SIGKILL" | "SIGTERM"): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill(signal);
    await gone;
  };
  return { id: own.id, kill: () => end("SIGKILL"), stop: () => end("SIGTERM") };
}

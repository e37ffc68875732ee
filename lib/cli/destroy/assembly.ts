import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Runs CDK's command with these arguments. Rejects when it fails. */
export type Cdk = (args: readonly string[]) => Promise<void>;

const root = join(import.meta.dirname, "../..");

/** The command that the project brings, in its folder, with its output on the terminal. */
export const ownCdk: Cdk = (args) =>
  new Promise((resolve, reject) => {
    const child = spawn(join(root, "node_modules/.bin/cdk"), [...args], { cwd: root, stdio: "inherit" });
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`cdk ${args[0]} ended with ${signal ?? code}`));
    });
  });

interface Manifest {
  artifacts?: Record<string, { type: string; environment?: string; properties?: { tags?: Record<string, string> } }>;
}

export interface Assembly {
  cluster: string;
  region: string;
  stacks: string[];
}

/** The cluster of a cloud assembly. Throws an Error when it is not a cluster's. */
export function readAssembly(folder: string): Assembly {
  const { artifacts = {} } = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")) as Manifest;
  const stacks = Object.entries(artifacts).filter(([, { type }]) => type === "aws:cloudformation:stack");
  const [, first] = stacks[0] ?? [];
  const region = first?.environment?.split("/").at(-1);
  const cluster = first?.properties?.tags?.["skiff:cluster"];
  if (region === undefined || cluster === undefined) throw new Error(`${folder} is the assembly of something else`);
  return { cluster, region, stacks: stacks.map(([name]) => name) };
}

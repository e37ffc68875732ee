import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { App } from "aws-cdk-lib";
import { afterAll } from "vitest";
import { cloud } from "../app.ts";
import { type Bundles, bundle } from "../bundle.ts";
import { type ConfigInput, longestCluster, parseConfig } from "../config.ts";
import { functionNames } from "../functions.ts";
import { readTemplates } from "../templates.ts";
import type { Template } from "../wiring.ts";

/** The required fields of a configuration. */
export const least = {
  cluster: "demo",
  region: "eu-west-1",
  administrator: "arn:aws:iam::123456789012:role/Administrator",
} as const satisfies ConfigInput;

/** Every feature, under the longest name. */
export const most = {
  ...least,
  cluster: "c".repeat(longestCluster),
  account: "123456789012",
  nodeGroups: [
    { name: "arm", minimum: 1 },
    { name: "x86", architecture: "x86_64", instanceTypes: ["t3a.medium", "t3.medium"], spot: true, labels: { a: "b" } },
  ],
  agentService: {},
  gateway: { allow: ["192.0.2.0/24"] },
  domain: {
    name: "kube.example.com",
    certificate: "arn:aws:acm:eu-west-1:123456789012:certificate/1",
    zone: { id: "Z1", name: "example.com" },
  },
  tags: { team: "platform" },
  permissionsBoundary: "arn:aws:iam::123456789012:policy/boundary",
  alarms: { enabled: true, level: "all", email: "operator@example.com" },
  fargate: true,
} as const satisfies ConfigInput;

const { context: flags } = JSON.parse(readFileSync("cdk.json", "utf8")) as { context: Record<string, unknown> };

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A temporary folder, deleted after the test file. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), "skiff-infra-"));
  folders.push(folder);
  return folder;
}

/** A folder of functions that do nothing: these tests concern the resources around them. */
export function emptyFunctions(names: readonly string[] = functionNames): string {
  const source = scratch();
  for (const name of names) {
    mkdirSync(join(source, name));
    writeFileSync(join(source, name, "index.ts"), `export const handler = async (): Promise<string> => "${name}";\n`);
  }
  return source;
}

export function emptyBundles(): Promise<Bundles> {
  const source = emptyFunctions();
  const any = join(source, "api/index.ts");
  return bundle({ source, agent: any, gateway: any, output: scratch() });
}

export interface Synthesized {
  app: App;
  /** The folder of the assembly. */
  folder: string;
  /** By name of the stack. */
  templates: Record<string, Template>;
}

/** Synthesizes a configuration with functions that do nothing. Throws the findings of the checks. */
export async function synthesize(input: ConfigInput, given?: Bundles): Promise<Synthesized> {
  const bundles = given ?? (await emptyBundles());
  const folder = scratch();
  const app = new App({ outdir: folder, analyticsReporting: false, context: flags });
  cloud(app, { config: parseConfig(input, "test"), bundles, version: "0.0.0" });
  app.synth();
  return { app, folder, templates: readTemplates(folder) };
}

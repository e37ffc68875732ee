import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messageOf, systemClock } from "#base";
import { type Cdk, ownCdk, readAssembly } from "./assembly.ts";
import { balancersOf, type ClientSettings, type Data, discover, empty, stopTasks } from "./discovery.ts";
import { planOf, type Step } from "./plan.ts";

export interface DestroyOptions {
  /** Whether tables, secret, logs and issuer are kept or deleted. */
  data: "keep" | "delete";
  /** File of the configuration. Defaults to `skiff.config.json`. */
  config?: string | undefined;
  yes: boolean;
}

interface Out {
  write(text: string): unknown;
}

/** Replaced by tests: the endpoints of AWS, and CDK's command. */
export interface DestroySettings extends Omit<ClientSettings, "region"> {
  cdk?: Cdk;
}

/**
 * Removes the cluster of the configuration from its account; without `yes` it prints the plan. A repeated run continues
 * after a failure. Resolves with the exit code; throws an Error with one line on failure.
 */
export async function destroy(options: DestroyOptions, out: Out, settings: DestroySettings = {}): Promise<number> {
  const { data: policy, config, yes } = options;
  const { cdk = ownCdk, ...endpoint } = settings;
  const folder = mkdtempSync(join(tmpdir(), "skiff-destroy-"));
  const assembly = join(folder, "cdk.out");
  try {
    const named = config === undefined ? [] : ["--context", `config=${config}`];
    await cdk(["synth", "--quiet", "--output", assembly, "--context", `data=${policy}`, ...named]);
    const { cluster, region, stacks } = readAssembly(assembly);
    const aws = { region, ...endpoint };
    const { deployed, data } = await readable(discover(aws, cluster, stacks));
    if (deployed.stacks.length === 0) {
      out.write(`There is no stack of ${cluster} in ${region}.\n`);
      return 0;
    }
    const balancers = await readable(balancersOf(aws, cluster));
    if (balancers.length > 0) {
      throw new Error(
        `load balancers of services still exist (${balancers.join(", ")}): delete the services first, ` +
          "while the cluster can remove them",
      );
    }
    const plan = planOf(policy, deployed, assembly);
    if (!yes) {
      for (const step of plan) out.write(`${commandOf(step, assembly)}    # ${step.why}\n`);
      out.write(policy === "keep" ? keptAfter(data) : deletedWith(data));
      out.write("Nothing was changed: --yes removes the cluster.\n");
      return 0;
    }
    for (const step of plan) await run(step, { aws, cdk, out });
    out.write(policy === "keep" ? keptAfter(data) : deletedWith(data));
    return 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function readable<T>(read: Promise<T>): Promise<T> {
  try {
    return await read;
  } catch (error) {
    throw new Error(`the deployed resources cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

async function run(step: Step, { aws, cdk, out }: { aws: ClientSettings; cdk: Cdk; out: Out }): Promise<void> {
  out.write(`${step.why}\n`);
  if (step.kind === "cdk") await cdk(step.args);
  else if (step.kind === "stop-tasks") await stopTasks(aws, step.cluster, systemClock);
  else await empty(aws, step.bucket);
}

function commandOf(step: Step, assembly: string): string {
  if (step.kind === "stop-tasks") return `stop the tasks of the ECS cluster ${step.cluster}`;
  if (step.kind === "empty") return `empty the bucket ${step.bucket}`;
  // The assembly is synthesized in each run.
  const args = step.args.map((arg) => (arg === assembly ? "<assembly>" : arg));
  return `cdk ${args.join(" ")}`;
}

const listed = (data: Data): string[] => [
  ...data.tables.map(({ name }) => `table ${name}`),
  ...data.secrets.map((secret) => `secret ${secret}`),
  ...data.buckets.map((bucket) => `bucket ${bucket}`),
  ...data.logGroups.map((group) => `log group ${group}`),
];

const shared = "CDK's bootstrap stack with its assets, and the role of the account's API Gateway logs, are shared.\n";

function deletedWith(data: Data): string {
  const all = listed(data).map((what) => `  ${what}\n`);
  return `Deleted with the stacks, permanently:\n${all.join("")}Kept: ${shared}`;
}

function keptAfter(data: Data): string {
  const all = listed(data).map((what) => `  ${what}\n`);
  const changes = data.tables.find(({ stream }) => stream !== undefined);
  const objects = data.tables.find(({ stream }) => stream === undefined);
  const lines = [`Kept:\n${all.join("")}  ${shared}`];
  if (changes && objects) {
    const restored = { objects: objects.name, changes: changes.name, stream: changes.stream };
    lines.push(
      "A deployment with this in its configuration uses these tables again; tokens of service accounts are issued again.\n",
      `  "restored": ${JSON.stringify(restored)}\n`,
    );
  }
  return lines.join("");
}

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messageOf, systemClock } from "#base";
import { type Cdk, ownCdk, readAssembly } from "./assembly.ts";
import { balancersOf, type ClientSettings, type Data, empty, look, stopTasks } from "./look.ts";
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

/** What tests say differently: where AWS is, and what CDK's command is. */
export interface DestroySettings extends Omit<ClientSettings, "region"> {
  cdk?: Cdk;
}

/**
 * Takes the cluster of the configuration out of its account; without `yes` it only says how. Run again after a failure
 * it goes on from what is there. Resolves with the exit code; throws an Error of one line when something cannot be
 * done.
 */
export async function destroy(options: DestroyOptions, out: Out, settings: DestroySettings = {}): Promise<number> {
  const { data: wanted, config, yes } = options;
  const { cdk = ownCdk, ...endpoint } = settings;
  const folder = mkdtempSync(join(tmpdir(), "skiff-destroy-"));
  const assembly = join(folder, "cdk.out");
  try {
    const named = config === undefined ? [] : ["--context", `config=${config}`];
    await cdk(["synth", "--quiet", "--output", assembly, "--context", `data=${wanted}`, ...named]);
    const { cluster, region, stacks } = readAssembly(assembly);
    const aws = { region, ...endpoint };
    const { standing, data } = await asked(look(aws, cluster, stacks));
    if (standing.stacks.length === 0) {
      out.write(`There is no stack of ${cluster} in ${region}.\n`);
      return 0;
    }
    const balancers = await asked(balancersOf(aws, cluster));
    if (balancers.length > 0) {
      throw new Error(
        `load balancers of services are still there (${balancers.join(", ")}): delete the services first, ` +
          "while the cluster can remove them",
      );
    }
    const plan = planOf(wanted, standing, assembly);
    if (!yes) {
      for (const step of plan) out.write(`${wordsOf(step, assembly)}    # ${step.why}\n`);
      out.write(wanted === "keep" ? whatStays(data) : whatGoes(data));
      out.write("Nothing has been done: --yes does it.\n");
      return 0;
    }
    for (const step of plan) await take(step, aws, cdk, out);
    out.write(wanted === "keep" ? whatStays(data) : whatGoes(data));
    return 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function asked<T>(asking: Promise<T>): Promise<T> {
  try {
    return await asking;
  } catch (error) {
    throw new Error(`what is there cannot be seen: ${messageOf(error)}`, { cause: error });
  }
}

async function take(step: Step, aws: ClientSettings, cdk: Cdk, out: Out): Promise<void> {
  out.write(`${step.why}\n`);
  if (step.kind === "cdk") await cdk(step.words);
  else if (step.kind === "stop-tasks") await stopTasks(aws, step.cluster, systemClock);
  else await empty(aws, step.bucket);
}

function wordsOf(step: Step, assembly: string): string {
  if (step.kind === "stop-tasks") return `stop the tasks of the ECS cluster ${step.cluster}`;
  if (step.kind === "empty") return `empty the bucket ${step.bucket}`;
  // The assembly is made anew each time.
  const words = step.words.map((word) => (word === assembly ? "<assembly>" : word));
  return `cdk ${words.join(" ")}`;
}

const listed = (data: Data): string[] => [
  ...data.tables.map(({ name }) => `table ${name}`),
  ...data.secrets.map((secret) => `secret ${secret}`),
  ...data.buckets.map((bucket) => `bucket ${bucket}`),
  ...data.logGroups.map((group) => `log group ${group}`),
];

const shared =
  "CDK's bootstrap stack with its assets, and the role of the account's API Gateway logs, are others' too.\n";

function whatGoes(data: Data): string {
  const all = listed(data).map((what) => `  ${what}\n`);
  return `Deleted with the stacks, for good:\n${all.join("")}What stays: ${shared}`;
}

function whatStays(data: Data): string {
  const all = listed(data).map((what) => `  ${what}\n`);
  const changes = data.tables.find(({ stream }) => stream !== undefined);
  const objects = data.tables.find(({ stream }) => stream === undefined);
  const lines = [`What stays:\n${all.join("")}  ${shared}`];
  if (changes && objects) {
    const restored = { objects: objects.name, changes: changes.name, stream: changes.stream };
    lines.push(
      "A deployment with this in its configuration stands on these tables again; tokens of service accounts are made anew.\n",
      `  "restored": ${JSON.stringify(restored)}\n`,
    );
  }
  return lines.join("");
}

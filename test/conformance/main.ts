import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { JoinedCluster } from "../e2e/joined.ts";
import { openRegistry } from "../e2e/registry.ts";
import { skiffDown } from "../e2e/skiff.ts";
import { startSkiff } from "../kubectl/cluster.ts";
import { runTests } from "./ginkgo.ts";
import { pushSuiteImages } from "./images.ts";
import { type Options, parseOptions, usage } from "./options.ts";
import { reasonFor } from "./reasons.ts";
import { countBySig, type Outcome, pageOf, textOf, total } from "./report.ts";
import { buildSuite, version } from "./suite.ts";

/*
 * `npm run conformance`: upstream's e2e suite against this cluster. Exits with 1 where a test fails that needs nothing
 * which is known to be missing, with 2 for a wrong option or where the suite cannot run.
 */

const progress = (text: string): void =>
  void process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);

/** Starts the cluster that the options describe, runs `work` with its kubeconfig, and removes what was started. */
async function withCluster<T>(options: Options, bin: string, work: (kubeconfig: string) => Promise<T>): Promise<T> {
  if (options.against !== undefined) return work(resolve(options.against));
  if (options.fake) {
    progress("starting a cluster of three nodes that run nothing");
    const skiff = await startSkiff(["--runtime", "fake", "--nodes", "3"]);
    try {
      return await work(skiff.kubeconfig);
    } finally {
      await skiff.stop();
    }
  }
  if (options.nodes > 1) return withMachines(options.nodes, bin, work);
  const registry = await openRegistry();
  try {
    await pushSuiteImages(`http://${registry.address}`, bin, progress);
    progress("starting a cluster with containers");
    const mirror = `registry.k8s.io=http://${registry.address}`;
    const skiff = await startSkiff(["--runtime", "containerd", "--registry-mirror", mirror]);
    try {
      return await work(skiff.kubeconfig);
    } finally {
      await skiffDown(skiff);
    }
  } finally {
    await registry.stop();
  }
}

/** The same with a cluster of several machines, of which all but the first have joined. */
async function withMachines<T>(count: number, bin: string, work: (kubeconfig: string) => Promise<T>): Promise<T> {
  const names = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"].slice(0, count);
  progress(`starting a cluster of ${count} machines with containers`);
  const networks = Object.fromEntries(names.map((name) => [name, 1 as const]));
  const cluster = await JoinedCluster.open(networks, {
    registry: "registry.k8s.io",
    fill: (url) => pushSuiteImages(url, bin, progress),
  });
  try {
    return await work(cluster.kubeconfig());
  } finally {
    await cluster.close();
  }
}

function print(options: Options, outcomes: readonly Outcome[], folder: string): void {
  if (options.output === "text") {
    process.stdout.write(textOf(outcomes));
    progress(`the suite's own output is in ${folder}`);
    return;
  }
  const failed = outcomes.filter(({ passed }) => !passed);
  const failures = failed.map((each) => ({ ...each, needs: reasonFor(each.name) }));
  const bySig = Object.fromEntries(countBySig(outcomes));
  process.stdout.write(`${JSON.stringify({ version, ...total(outcomes), bySig, failures, output: folder })}\n`);
}

const commit = (): string => execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();

async function conformance(options: Options): Promise<void> {
  const bin = await buildSuite(progress);
  if (options.buildOnly) return;
  const output = mkdtempSync(join(tmpdir(), "skiff-conformance-"));
  const started = Date.now();
  const outcomes = await withCluster(options, bin, (kubeconfig) =>
    runTests(options, { bin, kubeconfig, output }, progress),
  );
  print(options, outcomes, output);
  if (options.isWhole) {
    const minutes = Math.round((Date.now() - started) / 60_000);
    const date = new Date().toISOString().slice(0, 10);
    mkdirSync("docs", { recursive: true });
    const facts = { version, commit: commit(), date, minutes, nodes: options.nodes };
    writeFileSync("docs/conformance.md", pageOf(outcomes, facts));
    progress("docs/conformance.md is written");
  }
  const faults = outcomes.filter(({ passed, name }) => !passed && reasonFor(name) === undefined);
  if (faults.length > 0 || outcomes.length === 0) process.exitCode = 1;
}

let options: Options | undefined;
try {
  options = parseOptions(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n${usage}\n`);
  process.exitCode = 2;
}
if (options) {
  await conformance(options).catch((error: unknown) => {
    progress(`conformance cannot run: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 2;
  });
}

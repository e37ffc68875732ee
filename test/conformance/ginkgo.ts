import { createWriteStream, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fastTests } from "./fast.ts";
import type { Options } from "./options.ts";
import { notRunnable } from "./reasons.ts";
import { type Outcome, readReport } from "./report.ts";
import { run } from "./run.ts";

/** Nothing waits longer than this for the whole run. */
const timeLimit = "4h";
/** How often progress is shown, in milliseconds. */
const progressEvery = 30_000;

/** A text as a regular expression of Go that matches it and nothing else. */
const literally = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");

/** Runs the chosen tests and resolves with what became of each. Rejects where the suite cannot run at all. */
export async function runTests(
  { focus, skip, procs, fast }: Options,
  { bin, kubeconfig, output }: { bin: string; kubeconfig: string; output: string },
  progress: (text: string) => void,
): Promise<Outcome[]> {
  mkdirSync(output, { recursive: true });
  const chosen = fast ? fastTests.map(literally).join("|") : focus;
  const ginkgo = [
    `--procs=${procs}`,
    `--timeout=${timeLimit}`,
    `--focus=${chosen}`,
    ...[...notRunnable(), ...(skip === undefined ? [] : [skip])].map((each) => `--skip=${each}`),
    "--json-report=report.json",
    `--output-dir=${output}`,
    "--no-color",
    "--silence-skips",
  ];
  const suite = [
    "--provider=skeleton",
    `--kubeconfig=${kubeconfig}`,
    `--kubectl-path=${join(bin, "kubectl")}`,
    `--report-dir=${output}`,
    "--node-schedulable-timeout=20s",
    "--system-daemonsets-startup-timeout=5s",
    "--system-pods-startup-timeout=10s",
    "--allowed-not-ready-nodes=10",
  ];
  const shown = new Progress(progress);
  const log = createWriteStream(join(output, "ginkgo.log"));
  try {
    // 1: some tests failed, which the report says; anything else is no run.
    await run(join(bin, "ginkgo"), [...ginkgo, join(bin, "e2e.test"), "--", ...suite], {
      output: (text) => {
        shown.read(text);
        log.write(text);
      },
      codes: [0, 1],
      env: { ...process.env, PATH: `${bin}:${process.env["PATH"]}`, KUBECONFIG: kubeconfig },
    });
  } finally {
    shown.stop();
    log.end();
  }
  const [focused, skipped] = [new RegExp(chosen), skip === undefined ? undefined : new RegExp(skip)];
  const isChosen = (name: string): boolean => focused.test(name) && !skipped?.test(name);
  const outcomes = readReport(readFileSync(join(output, "report.json"), "utf8"), isChosen);
  if (outcomes.length === 0 && shown.done > 0) {
    throw new Error(`a process of the suite died and took the report with it: see ${join(output, "ginkgo.log")}`);
  }
  return outcomes;
}

/** Counts ginkgo's dots: one for each test that is over. */
class Progress {
  readonly #show: (text: string) => void;
  readonly #timer: NodeJS.Timeout;
  #done = 0;
  #failed = 0;
  #total: string | undefined;

  constructor(show: (text: string) => void) {
    this.#show = show;
    this.#timer = setInterval(() => this.#tell(), progressEvery);
  }

  read(text: string): void {
    this.#done += text.split("•").length - 1;
    this.#failed += text.split("• [FAILED]").length - 1;
    this.#total ??= /Will run (\d+) of \d+ specs/.exec(text)?.[1];
  }

  /** Tests that are over. */
  get done(): number {
    return this.#done;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#tell();
  }

  #tell(): void {
    if (this.#total !== undefined) this.#show(`${this.#done} of ${this.#total} tests done, ${this.#failed} failed`);
  }
}

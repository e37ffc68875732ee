import { createWriteStream, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fastTests } from "./fast.ts";
import type { Options } from "./options.ts";
import { notRunnable } from "./reasons.ts";
import { type Outcome, readReport } from "./report.ts";
import { run } from "./run.ts";

/** The longest time for the whole run, in milliseconds. */
const timeLimit = "4h";
/** Interval of progress output, in milliseconds. */
const progressEvery = 30_000;

/** A text as a regular expression of Go that matches it and nothing else. */
const literally = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");

/** Runs the selected tests and resolves with their outcomes. Rejects where the suite cannot run at all. */
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
    // Exit code 1: some tests failed, as the report shows; every other code means that the suite did not run.
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

/** Counts ginkgo's dots: one per completed test. */
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

  /** Completed tests. */
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

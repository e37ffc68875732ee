import { spawn } from "node:child_process";
import { existsSync, readdirSync, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";

/** One command of the battery and its expected result. */
export interface Case {
  /** Words after `kubectl`; `'…'` groups words. `-n <namespace>` is added unless the case is `global`. */
  run: string;
  /** The source of the expectation. */
  source: string;
  stdin?: string;
  /** Exit code. Default: 0. */
  code?: number;
  /** What standard output must match. */
  out?: RegExp | readonly RegExp[];
  /** What standard output must not match. */
  not?: RegExp;
  /** What standard error must match. */
  err?: RegExp;
  /** Repeats the command until the result matches, for so many seconds. */
  within?: number;
  /** Checks standard output as JSON; throws when it is wrong. */
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into
  json?: (value: any) => void;
  /** Ends the command after so many milliseconds: for commands that follow for ever. */
  cut?: number;
  /** Without a namespace. */
  global?: true;
}

export interface Outcome {
  code: number | null;
  out: string;
  err: string;
}

/**
 * The kubectls to test with: what KUBECTL names, or the one on the path; where versions from 1.30 on lie beside it the
 * newest of them, or with `every` all.
 */
export function findKubectls(every = process.env["SKIFF_EVERY_KUBECTL"] !== undefined): string[] {
  const named = process.env["KUBECTL"];
  if (named) return [named];
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    const path = join(folder, "kubectl");
    if (!existsSync(path)) continue;
    const home = dirname(realpathSync(path));
    const versions = readdirSync(home).filter((name) => /^kubectl\.1\.(?:[3-9]\d)$/.test(name));
    const found = versions.sort().map((name) => join(home, name));
    if (found.length === 0) return [path];
    return every ? found : found.slice(-1);
  }
  return [];
}

/** Words as a shell splits them, single quotes understood anywhere. */
const words = (text: string): string[] =>
  [...text.matchAll(/(?:'[^']*'|[^\s'])+/g)].map(([word]) => word.replace(/'([^']*)'/g, "$1"));

export interface Setting {
  kubectl: string;
  kubeconfig: string;
  namespace: string;
  /** A separate home: kubectl caches discovery there. */
  home: string;
  /** The editor of `kubectl edit`. */
  editor: string;
  /** More variables of its environment. */
  env?: Readonly<Record<string, string>>;
}

/** The environment of a kubectl, with nothing of this process's own beside the path. */
export const environmentOf = ({ kubeconfig, home, editor, env }: Setting): NodeJS.ProcessEnv => ({
  PATH: process.env["PATH"],
  HOME: home,
  KUBECONFIG: kubeconfig,
  KUBE_EDITOR: editor,
  ...env,
});

/** Runs one kubectl command to its end. */
export function kubectl(setting: Setting, step: Pick<Case, "run" | "stdin" | "cut" | "global">): Promise<Outcome> {
  const args = [
    ...words(step.run.replaceAll("$NS", setting.namespace).replaceAll("$HOME", dirname(setting.editor))),
    ...(step.global ? [] : ["-n", setting.namespace]),
  ];
  // The words of a command inside a pod stay at the end.
  const dashes = args.indexOf("--");
  if (dashes >= 0 && !step.global) args.splice(dashes, 0, ...args.splice(-2));
  const child = spawn(setting.kubectl, args, { env: environmentOf(setting) });
  const outcome: Outcome = { code: null, out: "", err: "" };
  child.stdout.on("data", (chunk) => {
    outcome.out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    outcome.err += chunk;
  });
  child.stdin.on("error", () => {});
  child.stdin.end((step.stdin ?? "").replaceAll("$NS", setting.namespace));
  const cut = setTimeout(() => child.kill("SIGKILL"), step.cut ?? 60_000);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      clearTimeout(cut);
      resolve({ ...outcome, code });
    });
  });
}

/** The difference between an outcome and the case; undefined when it matches. */
export function complaint(step: Case, { code, out, err }: Outcome): string | undefined {
  const shown = `\n--- stdout\n${out.slice(0, 3000)}\n--- stderr\n${err.slice(0, 2000)}`;
  if (step.cut === undefined && code !== (step.code ?? 0)) return `exit code ${code}, not ${step.code ?? 0}${shown}`;
  for (const pattern of [step.out ?? []].flat())
    if (!pattern.test(out)) return `stdout does not match ${pattern}${shown}`;
  if (step.not?.test(out)) return `stdout matches ${step.not}${shown}`;
  if (step.err && !step.err.test(err)) return `stderr does not match ${step.err}${shown}`;
  try {
    step.json?.(JSON.parse(out));
  } catch (error) {
    return `${error}${shown}`;
  }
  return undefined;
}

/** Runs a case, repeatedly while it may still match. Throws with the output. */
export async function check(setting: Setting, step: Case): Promise<void> {
  const end = Date.now() + (step.within ?? 0) * 1000;
  for (;;) {
    const wrong = complaint(step, await kubectl(setting, step));
    if (wrong === undefined) return;
    if (Date.now() >= end) throw new Error(`kubectl ${step.run}: ${wrong}\n(expected by ${step.source})`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

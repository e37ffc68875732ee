import { isNotRunnable, reasonFor } from "./reasons.ts";

/** One test of ginkgo's report. */
export interface Outcome {
  name: string;
  sig: string;
  passed: boolean;
  /** The failure's message in one line; "" where it passed. */
  message: string;
  seconds: number;
}

export interface Count {
  passed: number;
  failed: number;
}

interface SpecReport {
  LeafNodeType: string;
  LeafNodeText: string;
  ContainerHierarchyTexts: string[] | null;
  State: string;
  /** Nanoseconds. */
  RunTime: number;
  Failure?: { Message?: string };
}

/**
 * Reads ginkgo's JSON report. Tests that the suite left out are not in the result; a selected test that cannot run
 * without ending all others counts as failed.
 */
export function readReport(text: string, isChosen: (name: string) => boolean): Outcome[] {
  const suites = JSON.parse(text) as { SpecReports: SpecReport[] | null }[];
  const specs = suites.flatMap(({ SpecReports }) => SpecReports ?? []);
  return specs.flatMap((spec): Outcome[] => {
    const isTest = spec.LeafNodeType === "It";
    const message = (spec.Failure?.Message ?? "").replace(/\s+/g, " ").trim();
    const passed = spec.State === "passed";
    if (!isTest) {
      // A suite whose set-up fails has a failed node of its own, and no failed test.
      return passed || spec.State === "skipped" ? [] : [setUp(spec, message)];
    }
    const name = [...(spec.ContainerHierarchyTexts ?? []), spec.LeafNodeText].join(" ");
    const sig = /\[(sig-[\w-]+)\]/.exec(name)?.[1] ?? "other";
    if ((spec.State === "skipped" || spec.State === "pending") && message === "") {
      if (!isNotRunnable(name) || !isChosen(name)) return [];
      return [{ name, sig, passed: false, message: "not run: its set-up would end the whole suite", seconds: 0 }];
    }
    return [{ name, sig, passed, message, seconds: spec.RunTime / 1e9 }];
  });
}

const setUp = (spec: SpecReport, message: string): Outcome => ({
  name: spec.LeafNodeType,
  sig: "the suite itself",
  passed: false,
  message,
  seconds: spec.RunTime / 1e9,
});

/** Passed and failed by sig, sorted by its name. */
export function countBySig(outcomes: readonly Outcome[]): [sig: string, count: Count][] {
  const counts = new Map<string, Count>();
  for (const { sig, passed } of outcomes) {
    const count = counts.get(sig) ?? { passed: 0, failed: 0 };
    count[passed ? "passed" : "failed"]++;
    counts.set(sig, count);
  }
  return [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
}

export const total = (outcomes: readonly Outcome[]): Count => {
  const passed = outcomes.filter((each) => each.passed).length;
  return { passed, failed: outcomes.length - passed };
};

const rows = (outcomes: readonly Outcome[]): string[] => [
  "| sig | passed | failed | of |",
  "|---|---|---|---|",
  ...[...countBySig(outcomes), ["**all**", total(outcomes)] as const].map(
    ([sig, { passed, failed }]) => `| ${sig} | ${passed} | ${failed} | ${passed + failed} |`,
  ),
];

/** The summary at the end of a run: the table, and each failure with its last message. */
export function textOf(outcomes: readonly Outcome[]): string {
  const failures = outcomes
    .filter(({ passed }) => !passed)
    .map(({ name, message, seconds }) => {
      const why = reasonFor(name);
      return `FAILED ${name} (${seconds.toFixed(0)} s)${why ? ` [needs ${why}]` : ""}\n       ${message.slice(0, 300)}`;
    });
  return `${[...rows(outcomes), "", ...failures].join("\n")}\n`;
}

export interface RunFacts {
  /** Of the suite. */
  version: string;
  commit: string;
  date: string;
  minutes: number;
  /** How many nodes with containers the cluster had. */
  nodes: number;
}

/** The page about a whole run: commit, date, table, and failures with their reasons. */
export function pageOf(outcomes: readonly Outcome[], { version, commit, date, minutes, nodes }: RunFacts): string {
  const failed = outcomes.filter(({ passed }) => !passed);
  const needing = new Map<string, string[]>();
  for (const { name } of failed) {
    const why = reasonFor(name);
    if (why !== undefined) needing.set(why, [...(needing.get(why) ?? []), name]);
  }
  const missing = [...needing]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([why, names]) => [`### ${why} (${names.length})`, "", ...names.sort().map((name) => `- ${name}`), ""]);
  const others = failed.filter(({ name }) => reasonFor(name) === undefined);
  const told = others.flatMap(({ name, message }) => [`- ${name}`, `  ${codeOf(message.slice(0, 300))}`]);
  return [
    "# Conformance",
    "",
    `Upstream's own e2e suite of Kubernetes ${version}, its conformance tests, on one machine with ${nodesOf(nodes)} and real`,
    `containers: commit ${commit}, ${date}, ${minutes} minutes. Written by \`npm run conformance\`, which`,
    "test/conformance/README.md describes.",
    "",
    ...rows(outcomes),
    "",
    "## Failures because of a missing kind or part",
    "",
    ...missing,
    "## Other failures",
    "",
    ...(told.length > 0 ? told : ["Nothing."]),
    "",
  ].join("\n");
}

const nodesOf = (count: number): string => (count === 1 ? "one node" : `${count} nodes`);
const codeOf = (text: string): string => `\`${text.replaceAll("`", "'")}\``;

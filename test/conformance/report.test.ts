import { expect, test } from "vitest";
import { parseOptions } from "./options.ts";
import { countBySig, pageOf, readReport, textOf, total } from "./report.ts";

const spec = (name: string, state: string, more: object = {}) => ({
  LeafNodeType: "It",
  LeafNodeText: name,
  ContainerHierarchyTexts: ["[sig-node] Pods"],
  State: state,
  RunTime: 2e9,
  ...more,
});
const failure = (Message: string) => ({ Failure: { Message } });
// The form of ginkgo 2.32's reports; states are those of its types.SpecState.
const report = JSON.stringify([
  {
    SpecReports: [
      spec("should run [Conformance]", "passed"),
      spec("should stop [Conformance]", "failed", failure("timed\nout after `30s`")),
      spec("is not chosen", "skipped"),
      spec("should do [Conformance]", "skipped", {
        ContainerHierarchyTexts: ["[sig-api-machinery] Servers with support for API chunking"],
      }),
      spec("asks for what is not there", "skipped", failure("only for windows")),
      {
        LeafNodeType: "SynchronizedBeforeSuite",
        LeafNodeText: "",
        ContainerHierarchyTexts: null,
        State: "passed",
        RunTime: 1,
      },
      spec("breaks", "panicked", { ContainerHierarchyTexts: ["[sig-storage] Volumes"], ...failure("nil") }),
    ],
  },
]);

test("reads the number of nodes, which only a cluster of its own has", () => {
  expect(parseOptions([]).nodes).toBe(1);
  expect(parseOptions(["--nodes", "2"]).nodes).toBe(2);
  expect(() => parseOptions(["--nodes", "0"])).toThrow("--nodes must be a number from 1 to 9, not 0");
  expect(() => parseOptions(["--nodes", "2", "--fake"])).toThrow("--nodes cannot be used with --fake or --against");
});

test("reads a report: the tests that ran, by sig, with the message in one line", () => {
  const outcomes = readReport(report, (name) => name.includes("[Conformance]"));
  expect(outcomes.map(({ name, passed }) => [name, passed])).toEqual([
    ["[sig-node] Pods should run [Conformance]", true],
    ["[sig-node] Pods should stop [Conformance]", false],
    ["[sig-api-machinery] Servers with support for API chunking should do [Conformance]", false],
    // It ran and found that it does not apply here: that does not count as passed.
    ["[sig-node] Pods asks for what is not there", false],
    ["[sig-storage] Volumes breaks", false],
  ]);
  expect(countBySig(outcomes)).toEqual([
    ["sig-api-machinery", { passed: 0, failed: 1 }],
    ["sig-node", { passed: 1, failed: 2 }],
    ["sig-storage", { passed: 0, failed: 1 }],
  ]);
  expect(total(outcomes)).toEqual({ passed: 1, failed: 4 });
  expect(textOf(outcomes)).toContain("| **all** | 1 | 4 | 5 |");
  expect(textOf(outcomes)).toContain(
    "FAILED [sig-node] Pods should stop [Conformance] (2 s)\n       timed out after `30s`",
  );
  const page = pageOf(outcomes, { version: "v1.37.2", commit: "abc", date: "2026-01-02", minutes: 3, nodes: 2 });
  expect(page).toContain("on one machine with 2 nodes and real\ncontainers: commit abc, 2026-01-02, 3 minutes.");
  expect(page).toContain("- [sig-node] Pods should stop [Conformance]\n  `timed out after '30s'`");
});

test("a suite whose set-up fails is a failure of its own", () => {
  const broken = { LeafNodeType: "SynchronizedBeforeSuite", LeafNodeText: "", ContainerHierarchyTexts: null };
  const text = JSON.stringify([{ SpecReports: [{ ...broken, State: "failed", RunTime: 1, ...failure("no nodes") }] }]);
  expect(readReport(text, () => true)).toMatchObject([{ sig: "the suite itself", passed: false, message: "no nodes" }]);
});

test.each([
  [["--procs", "none"], "--procs must be a positive integer, not none"],
  [["--focus", "("], "--focus is no regular expression"],
  [["--output", "xml"], "--output must be text or json, not xml"],
  [["--fast", "--focus", "x"], "--fast cannot be used with --focus or --skip"],
  [["--fake", "--against", "x"], "--fake cannot be used with --against"],
  [["--nothing"], "--nothing"],
])("rejects %j by name", (args, message) => {
  expect(() => parseOptions(args)).toThrow(message);
});

test("a run without a selection is complete", () => {
  expect(parseOptions([]).isWhole).toBe(true);
  for (const args of [["--fake"], ["--focus", "x"], ["--skip", "x"], ["--fast"], ["--against", "x"]]) {
    expect(parseOptions(args).isWhole).toBe(false);
  }
});

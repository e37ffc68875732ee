import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";

export interface Options {
  /** Regular expressions over the full names of tests, as ginkgo reads them. */
  focus: string;
  skip: string | undefined;
  /** Number of concurrent tests; those marked [Serial] run alone. */
  procs: number;
  /** The kubeconfig of an existing cluster. Default: a cluster is started. */
  against: string | undefined;
  /** Nodes with containers: those after the first are machines of network and mount namespaces. */
  nodes: number;
  /** Nodes that run nothing, three of them. */
  fake: boolean;
  /** A fixed list of short tests. */
  fast: boolean;
  /** Builds the suite and runs nothing. */
  buildOnly: boolean;
  output: "text" | "json";
  /** All conformance tests on real containers: what docs/conformance.md is written from. */
  isWhole: boolean;
}

export const everything = "\\[Conformance\\]";

export const usage = `usage: npm run conformance -- [options]
  --focus RE           only tests whose names match (default: ${everything})
  --skip RE            no test whose name matches
  --procs N            so many side by side (default: five for each core)
  --against KUBECONFIG a cluster that is there already, instead of one of its own
  --nodes N            so many nodes with containers; further ones are hosts of namespaces (default: 1)
  --fake               three nodes that run nothing, instead of containers
  --fast               a fixed list of about forty short tests
  --build-only         build the suite where it has not been built, and run nothing
  --output text|json   how the result is printed (default: text)`;

/** Parses the command line. Throws an Error that names the wrong option. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      focus: { type: "string" },
      skip: { type: "string" },
      procs: { type: "string" },
      against: { type: "string" },
      nodes: { type: "string" },
      fake: { type: "boolean", default: false },
      fast: { type: "boolean", default: false },
      "build-only": { type: "boolean", default: false },
      output: { type: "string", default: "text" },
    },
  });
  const { focus, skip, against, fake, fast, output } = values;
  const procs = values.procs === undefined ? 5 * availableParallelism() : Number(values.procs);
  if (!Number.isInteger(procs) || procs < 1) throw new Error(`--procs must be a positive integer, not ${values.procs}`);
  const nodes = values.nodes === undefined ? 1 : Number(values.nodes);
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > 9)
    throw new Error(`--nodes must be a number from 1 to 9, not ${values.nodes}`);
  if (nodes > 1 && (fake || against !== undefined)) throw new Error("--nodes cannot be used with --fake or --against");
  if (output !== "text" && output !== "json") throw new Error(`--output must be text or json, not ${output}`);
  if (fast && (focus !== undefined || skip !== undefined))
    throw new Error("--fast cannot be used with --focus or --skip");
  if (fake && against !== undefined) throw new Error("--fake cannot be used with --against");
  for (const [name, text] of [["--focus", focus] as const, ["--skip", skip] as const]) checkExpression(name, text);
  return {
    focus: focus ?? everything,
    skip,
    procs,
    against,
    nodes,
    fake,
    fast,
    buildOnly: values["build-only"],
    output,
    isWhole: focus === undefined && skip === undefined && !fast && !fake && against === undefined,
  };
}

function checkExpression(name: string, text: string | undefined): void {
  if (text === undefined) return;
  try {
    new RegExp(text);
  } catch (error) {
    throw new Error(`${name} is no regular expression: ${(error as Error).message}`);
  }
}

/** `skiff cost`: prices the fixed costs of the synthesized templates and the measured usage. It calls no service. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Bill, bill, fixedCosts, sum, type Template, usageOf } from "#cost";

export interface CostOptions {
  /** Folder of the cloud assembly. */
  templates: string;
  agents: number;
  requests: number;
  writes: number;
  rollouts: number;
  /** GB. */
  stored: number;
  output: "text" | "json";
}

const suffix = ".template.json";

/** Prints the bill of a month, at list price and with the free tier. Throws an Error when there are no templates. */
export function cost(options: CostOptions, out: { write(text: string): unknown }): number {
  const { agents, requests, writes, rollouts, stored } = options;
  if (writes > requests) throw new Error("--writes cannot be more than --requests");
  if (rollouts > writes) throw new Error("--rollouts cannot be more than --writes");
  const usage = sum(
    fixedCosts(readTemplates(options.templates)),
    usageOf({ agents, requests, writes, rollouts, stored }),
  );
  const [list, free] = [bill(usage, { freeTier: false }), bill(usage, { freeTier: true })];
  if (options.output === "json") out.write(`${JSON.stringify({ month: { list, freeTier: free } }, undefined, 2)}\n`);
  else out.write(page(list, free));
  return 0;
}

function readTemplates(folder: string): Template[] {
  let files: string[];
  try {
    files = readdirSync(folder).filter((file) => file.endsWith(suffix));
  } catch {
    files = [];
  }
  if (files.length === 0)
    throw new Error(`${folder} has no templates: run \`npm run synth\` first, or name --templates`);
  return files.map((file) => JSON.parse(readFileSync(join(folder, file), "utf8")) as Template);
}

const dollars = (value: number): string => value.toFixed(2).padStart(8);

function page(list: Bill, free: Bill): string {
  const lines = list.lines
    .filter((line) => line.dollars >= 0.005)
    .map(({ item, what, dollars: price }) => {
      const less = free.lines.find((line) => line.item === item)?.dollars ?? 0;
      return `${what.padEnd(45)}${dollars(price)}  ${dollars(less)}`;
    });
  const head = `${"dollars a month (us-east-1)".padEnd(45)}${"list".padStart(8)}  ${"free tier".padStart(8)}`;
  return `${[head, ...lines, `${"all".padEnd(45)}${dollars(list.dollars)}  ${dollars(free.dollars)}`].join("\n")}\n`;
}

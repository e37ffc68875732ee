import { createHash } from "node:crypto";
import { runProgram } from "../program.ts";
import { chainsOf, removal, type Table } from "./writer.ts";

/** Seconds to wait for another program that holds the lock of iptables. */
const lockSeconds = "10";

/** What the names of a cluster's chains begin with: a chain's name has at most 28 characters. */
export const prefixOf = (name: string): string => `S${createHash("sha256").update(name).digest("hex").slice(0, 6)}`;

export async function restore(input: string, flags: readonly string[] = []): Promise<void> {
  await runProgram("iptables-restore", ["-w", lockSeconds, "--noflush", ...flags], input);
}

export const save = (table: Table): Promise<string> => runProgram("iptables-save", ["-t", table]);

const tables: readonly Table[] = ["filter", "nat"];

/** Deletes the chains that begin with a prefix, and the jumps to them. */
export async function removeChains(prefix: string): Promise<void> {
  for (const table of tables) {
    const input = removal(table, await save(table), prefix);
    if (input !== undefined) await restore(input);
  }
}

/** Prefixes of clusters that have chains on this machine; none if iptables is missing. */
export async function listPrefixes(): Promise<string[]> {
  const saved = await save("nat").catch(() => "");
  const first = chainsOf(saved, "S[0-9a-f]{6}");
  return [...new Set(first.map((chain) => chain.split("-")[0] ?? ""))];
}

import { runProgram } from "../program.ts";

/** Runs commands as one transaction of `nft -f -`. */
export async function runNft(commands: string, flags: readonly string[] = []): Promise<void> {
  await runProgram("nft", [...flags, "-f", "-"], commands);
}

/** Names of the IPv4 tables of this machine; none if nft is missing. */
export async function listTables(): Promise<string[]> {
  const text = await runProgram("nft", ["list", "tables", "ip"]).catch(() => "");
  return [...text.matchAll(/^table ip (\S+)$/gm)].map(([, name = ""]) => name);
}

/** The IPv4 sets of this machine in JSON; undefined if this nft cannot print that. */
export const listSets = (): Promise<string | undefined> =>
  runProgram("nft", ["-j", "list", "sets", "ip"]).catch(() => undefined);

/** Deletes a table if it exists. */
export const deleteTable = (name: string): Promise<void> => runNft(`add table ip ${name}\ndelete table ip ${name}\n`);

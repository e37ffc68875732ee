import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { messageOf, systemClock, systemRandom } from "#base";
import { dynamoClient, dynamoStore, type LogPosition, type Restored } from "#store/dynamo";
import { type Found, findTables, type Note, readNote, writeNote } from "./tables.ts";

export interface RestoreOptions {
  region: string;
  /** Names of the two tables that were restored. */
  objects: string;
  changes: string;
  yes: boolean;
  again: boolean;
  output: "text" | "json";
}

/** Milliseconds to which a type's clock is rounded up. */
const rounding = 10_000;

/** The output. */
export interface Out {
  write(text: string): unknown;
}

/** The report: `refused` has the reason why nothing was done, `restored` the result. */
export interface Report {
  objects: string;
  changes: string;
  types: { type: string; revision: number; writtenAt: string }[];
  refused?: string;
  restored?: Restored[];
}

/**
 * `skiff restore`: lets the revisions of every type jump, so that clients with older ones get 410, and brings objects
 * up to the log. Changes the tables only with `yes`, and changes tables that were written since their restore only with
 * `again`. A repeated run continues after an interruption. Credentials and endpoint are the AWS SDK's defaults.
 * Resolves with the exit code: 0 when everything was restored; 1 otherwise.
 */
export async function restore(options: RestoreOptions, out: Out): Promise<number> {
  const { region, objects, changes } = options;
  const tables = { objects, changes };
  const client = new DynamoDBClient({ region });
  const dynamo = dynamoClient({ region });
  const store = dynamoStore({ dynamo, tables, clock: systemClock, random: systemRandom });
  try {
    const found = await findTables(client, options);
    const note = await readNote(dynamo, objects, found.id);
    const positions = await store.positions();
    const report: Report = { ...tables, types: positions.map(reportOf) };
    const refused = refusal(options, { found, note, types: positions });
    if (refused !== undefined) return print(out, options, { ...report, refused });
    const begun = systemClock.now();
    await writeNote(dynamo, { table: objects, id: found.id }, { begun });
    const restored = await store.afterRestore();
    await writeNote(dynamo, { table: objects, id: found.id }, { begun, done: systemClock.now() });
    return print(out, options, { ...report, restored });
  } catch (error) {
    throw new Error(`${objects}, ${changes}: ${messageOf(error)}`, { cause: error });
  } finally {
    await store.close();
    client.destroy();
  }
}

const time = (at: number): string => new Date(at).toISOString();
const reportOf = ({ type, revision, drawnAt }: LogPosition) => ({ type, revision, writtenAt: time(drawnAt) });

interface TableState {
  found: Found;
  note: Note | undefined;
  types: LogPosition[];
}

/** The reason to refuse the restore; undefined when it may run. */
function refusal({ yes, again, objects }: RestoreOptions, { found, note, types }: TableState): string | undefined {
  if (types.length === 0) return `${objects} contains no cluster`;
  if (note?.done !== undefined && !again)
    return `the tables were restored at ${time(note.done)}: --again repeats it, and all clients then list again`;
  const newest = Math.max(...types.map(({ drawnAt }) => drawnAt));
  // A restored table is newer than its content. An interrupted restore has its own writes.
  if (!note && !again && newest - rounding > found.madeAt)
    return `the tables are in use: created at ${time(found.madeAt)}, last written at ${time(newest)}; --again restores them anyway`;
  return yes ? undefined : "nothing was changed: --yes restores the tables";
}

function print(out: Out, { output }: RestoreOptions, report: Report): number {
  const lost = (report.restored ?? []).flatMap(({ type, lost: keys }) => keys.map((key) => `${type} ${key}`));
  if (output === "json") out.write(`${JSON.stringify(report, null, 2)}\n`);
  else out.write(`${(report.restored ? doneLines(report.restored, lost) : planLines(report)).join("\n")}\n`);
  return report.restored && lost.length === 0 ? 0 : 1;
}

function planLines({ objects, changes, types, refused }: Report): string[] {
  return [
    `${objects} and ${changes}:`,
    ...types.map(({ type, revision, writtenAt }) => `  ${type}: at revision ${revision}, last written at ${writtenAt}`),
    "A restore lets the revisions of each type jump, so that every client lists again, and brings objects up to the log.",
    "The tables must not be in use meanwhile.",
    `${refused}`,
  ];
}

function doneLines(restored: Restored[], lost: string[]): string[] {
  const lines = restored.map(({ type, revision, objects, repaired }) => {
    const repairs = repaired.length === 0 ? "" : `, brought up to the log: ${repaired.join(", ")}`;
    return `${type}: continues at revision ${revision}, ${objects} objects${repairs}`;
  });
  if (lost.length > 0)
    lines.push("the newest state of these objects is incomplete; they were left unchanged:", ...lost);
  return lines;
}

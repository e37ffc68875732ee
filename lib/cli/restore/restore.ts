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

/** A type's clock is rounded up by so much, in milliseconds. */
const rounding = 10_000;

/** Where the answer goes. */
export interface Out {
  write(text: string): unknown;
}

/** What is told: `refused` says why nothing was done, `restored` what was. */
export interface Report {
  objects: string;
  changes: string;
  types: { type: string; revision: number; writtenAt: string }[];
  refused?: string;
  restored?: Restored[];
}

/**
 * `skiff restore`: lets the revisions of every type jump, so that clients with older ones are told that these are
 * gone, and brings objects up to the log. Does it with `yes` alone, and never to tables that have served since they
 * were restored unless `again` says so. What was interrupted may simply be run once more. Credentials and endpoint
 * are the AWS SDK's own. Resolves with the exit code: 0 when it was done and everything is whole; 1 otherwise.
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
    const report: Report = { ...tables, types: positions.map(told) };
    const refused = refusal(options, found, note, positions);
    if (refused !== undefined) return say(out, options, { ...report, refused });
    const begun = systemClock.now();
    await writeNote(dynamo, objects, found.id, { begun });
    const restored = await store.afterRestore();
    await writeNote(dynamo, objects, found.id, { begun, done: systemClock.now() });
    return say(out, options, { ...report, restored });
  } catch (error) {
    throw new Error(`${objects}, ${changes}: ${messageOf(error)}`, { cause: error });
  } finally {
    await store.close();
    client.destroy();
  }
}

const time = (at: number): string => new Date(at).toISOString();
const told = ({ type, revision, drawnAt }: LogPosition) => ({ type, revision, writtenAt: time(drawnAt) });

/** Why nothing is done; undefined when it may be. */
function refusal({ yes, again, objects }: RestoreOptions, found: Found, note: Note | undefined, types: LogPosition[]) {
  if (types.length === 0) return `${objects} holds no cluster`;
  if (note?.done !== undefined && !again)
    return `this was done at ${time(note.done)}: --again does it once more, and all clients then list anew`;
  const newest = Math.max(...types.map(({ drawnAt }) => drawnAt));
  // A restored table is younger than everything in it. One that was interrupted on the way has its own writes.
  if (!note && !again && newest - rounding > found.madeAt)
    return `the tables are in use: made at ${time(found.madeAt)}, last written at ${time(newest)}; --again does it anyway`;
  return yes ? undefined : "nothing was done: --yes does it";
}

function say(out: Out, { output }: RestoreOptions, report: Report): number {
  const lost = (report.restored ?? []).flatMap(({ type, lost: keys }) => keys.map((key) => `${type} ${key}`));
  if (output === "json") out.write(`${JSON.stringify(report, null, 2)}\n`);
  else out.write(`${(report.restored ? doneLines(report.restored, lost) : planLines(report)).join("\n")}\n`);
  return report.restored && lost.length === 0 ? 0 : 1;
}

function planLines({ objects, changes, types, refused }: Report): string[] {
  return [
    `${objects} and ${changes}:`,
    ...types.map(({ type, revision, writtenAt }) => `  ${type}: at revision ${revision}, last written at ${writtenAt}`),
    "A restore lets the revisions of each type jump, so that every client lists anew, and brings objects up to the log.",
    "Nobody may use the tables meanwhile.",
    `${refused}`,
  ];
}

function doneLines(restored: Restored[], lost: string[]): string[] {
  const lines = restored.map(({ type, revision, objects, repaired }) => {
    const mended = repaired.length === 0 ? "" : `, brought up to the log: ${repaired.join(", ")}`;
    return `${type}: goes on from revision ${revision}, ${objects} objects${mended}`;
  });
  if (lost.length > 0) lines.push("their newest state is not whole, they stay as they were found:", ...lost);
  return lines;
}

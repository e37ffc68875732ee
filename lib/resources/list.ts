import { badRequest, expired, sleep, stringifyJson, timeout } from "#base";
import { Compacted, type Entry, FutureRevision, type ListOptions, type Page } from "#store";
import type { Resources } from "./resources.ts";
import type { Selection } from "./selection.ts";

/** Which snapshot of a type is read, and how much of it. */
export interface ListParameters {
  limit: number;
  /** The snapshot to read; undefined for the newest. */
  at?: number;
  /** The newest, but not before this revision. */
  notOlderThan?: number;
  /** Only keys after this one. */
  after?: string;
}

export interface FindOptions {
  type: string;
  selection: Selection;
  parameters: ListParameters;
  signal: AbortSignal;
}

interface Token {
  v: "meta.k8s.io/v1";
  rv: number;
  start: string;
}

/** A continue token: the key at which the list continues, without the prefix of the list, as in upstream. */
const encodeContinue = (rv: number, key: string, prefix: string): string => {
  const token: Token = { v: "meta.k8s.io/v1", rv, start: `${key.slice(prefix.length)}\u0000` };
  return Buffer.from(stringifyJson(token)).toString("base64url");
};

export function decodeContinue(text: string, prefix: string): { at?: number; after: string } {
  const refuse = (why: string) => badRequest(`invalid continue token: continue key is not valid: ${why}`);
  let token: Partial<Token>;
  try {
    token = JSON.parse(Buffer.from(text, "base64url").toString()) as Partial<Token>;
  } catch {
    throw refuse("it is no JSON in base64");
  }
  const { v = "", rv = 0, start = "" } = token ?? {};
  if (v !== "meta.k8s.io/v1") throw refuse(`server does not recognize this encoded version ${v}`);
  if (rv === 0) throw refuse("incorrect encoded start resourceVersion (version meta.k8s.io/v1)");
  if (!Number.isInteger(rv) || typeof start !== "string" || start === "") {
    throw refuse("encoded start key empty (version meta.k8s.io/v1)");
  }
  const after = `${prefix}${start.endsWith("\u0000") ? start.slice(0, -1) : start}`;
  // -1: the newest objects after the key, for a client that continues after its snapshot has expired.
  return rv < 0 ? { after } : { at: rv, after };
}

/** Entries of one snapshot that a request is about. */
export interface Found {
  revision: number;
  entries: Entry[];
  continue: string;
  remaining?: number;
}

/** Waits up to three seconds for a revision that this server has not seen. Throws ApiError 504 then, in upstream's words. */
export async function waitForRevision(
  { store, clock }: Resources,
  { type, revision, signal }: { type: string; revision: number; signal: AbortSignal },
): Promise<void> {
  let head = await store.head(type);
  const deadline = clock.now() + 3000;
  while (head < revision) {
    if (clock.now() >= deadline || signal.aborted) throw tooLarge(revision, head);
    await sleep(clock, 100, signal);
    head = await store.head(type);
  }
}

export const tooLarge = (revision: number, head: number): Error =>
  timeout(`Too large resource version: ${revision}, current: ${head}`, 1, [
    { reason: "ResourceVersionTooLarge", message: "Too large resource version" },
  ]);

/** Reads a list: pages until the limit is filled with selected objects. */
export async function find(resources: Resources, { type, selection, parameters, signal }: FindOptions): Promise<Found> {
  const { limit, notOlderThan } = parameters;
  if (notOlderThan !== undefined) await waitForRevision(resources, { type, revision: notOlderThan, signal });
  const found: Found = { revision: 0, entries: [], continue: "" };
  let { at, after } = parameters;
  for (;;) {
    const options: ListOptions = { prefix: selection.key ?? selection.prefix };
    if (after !== undefined) options.after = after;
    if (limit > 0) options.limit = limit;
    const page = await snapshot(resources, { type, options, at, after });
    found.revision = page.revision;
    at = page.revision;
    for (const entry of page.entries) {
      if (selection.key !== undefined && entry.key !== selection.key) break;
      if (limit > 0 && found.entries.length === limit) {
        return { ...found, continue: encodeContinue(page.revision, found.entries.at(-1)!.key, selection.prefix) };
      }
      if (selection.matches(entry.key, entry.index)) found.entries.push(entry);
    }
    // An object that is selected by name is the whole answer, whatever other keys have its name as prefix.
    if (selection.key !== undefined && (found.entries.length > 0 || page.entries[0]?.key !== selection.key))
      return found;
    const last = page.entries.at(-1);
    if (!page.more || !last) return found;
    after = last.key;
    if (limit > 0 && found.entries.length === limit) {
      found.continue = encodeContinue(page.revision, found.entries.at(-1)!.key, selection.prefix);
      if (selection.everything && page.remaining !== undefined) found.remaining = page.remaining;
      return found;
    }
  }
}

async function snapshot(
  resources: Resources,
  {
    type,
    options,
    at,
    after,
  }: { type: string; options: ListOptions; at: number | undefined; after: string | undefined },
): Promise<Page> {
  try {
    if (at === undefined) return await resources.page(type, options);
    const cache = await resources.cache(type);
    return cache?.listAt(at, options) ?? (await resources.store.list(type, { ...options, at }));
  } catch (error) {
    if (error instanceof Compacted) throw await tooOld(after, options.prefix ?? "", error);
    if (error instanceof FutureRevision) throw tooLarge(at ?? 0, error.head);
    throw error;
  }
}

/** An expired snapshot: a client can continue with the newest objects by the token in the Status. */
async function tooOld(after: string | undefined, prefix: string, cause: Error): Promise<Error> {
  const error = expired(
    after === undefined
      ? "The resourceVersion for the provided list is too old."
      : "The provided continue parameter is too old to display a consistent list result. You can start a new list without " +
          "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. " +
          "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or " +
          "deleted between the time the first chunk was returned and now may show up in the list.",
  );
  error.cause = cause;
  if (after !== undefined) error.status.metadata = { continue: encodeContinue(-1, after, prefix) };
  return error;
}

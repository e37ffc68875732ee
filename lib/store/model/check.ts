import type { Entry } from "#store";
import { type History, textOf, type WriteAttempt } from "./play.ts";

/** The true history. */
export interface Truth {
  /** Every write in the log, in order of revisions. */
  log: TrueChange[];
  /** The objects at the end: key to revision. */
  objects: Map<string, number>;
  /** The revision of each key by step, in order, 0 for none; undefined where it was not recorded. */
  states: Map<string, { step: number; revision: number }[]> | undefined;
  /** The faults that the witness of the tables has found. */
  faults: string[];
}

export interface TrueChange {
  revision: number;
  type: "create" | "update" | "delete";
  key: string;
  text: string;
  previous: number;
}

/** The faults of a history. */
export function check(history: History, truth: Truth): string[] {
  const faults = [...history.faults, ...truth.faults];
  const byText = new Map<string, TrueChange[]>();
  for (const change of truth.log) byText.set(change.text, [...(byText.get(change.text) ?? []), change]);
  faults.push(...checkLog(truth), ...checkWrites(history, truth, byText));
  faults.push(...checkFollowed(history, truth), ...checkLists(history, truth));
  return faults;
}

/** The log must be a legal history that ends in the objects. */
function checkLog({ log, objects }: Truth): string[] {
  const faults: string[] = [];
  const state = new Map<string, number>();
  for (const { revision, type, key, previous } of log) {
    const current = state.get(key) ?? 0;
    const isLegal = type === "create" ? current === 0 : current !== 0 && current === previous;
    if (!isLegal) faults.push(`log: ${type} of ${key} at ${revision} over ${current}, expected ${previous}`);
    if (type === "delete") state.delete(key);
    else state.set(key, revision);
  }
  for (const key of new Set([...state.keys(), ...objects.keys()]))
    if (state.get(key) !== objects.get(key))
      faults.push(`objects: ${key} stands at ${objects.get(key)}, the log says ${state.get(key)}`);
  return faults;
}

/** An acknowledged write exists once, at its revision; a refused one does not exist, and its reason was true. */
function checkWrites({ writes }: History, truth: Truth, byText: Map<string, TrueChange[]>): string[] {
  const faults: string[] = [];
  for (const one of writes) {
    const found = byText.get(`${one.text}`) ?? [];
    const { result } = one;
    if (found.length > 1) faults.push(`${one.text} is in the log ${found.length} times`);
    if (result === "unknown") continue;
    if (result === "refused" || result instanceof Error) {
      if (found.length > 0) faults.push(`${one.text} was refused and is in the log at ${found[0]!.revision}`);
      if (result instanceof Error) faults.push(...checkReason(one, result.entry, truth));
    } else if (found[0]?.revision !== result.revision)
      faults.push(`${one.text} was acknowledged at ${result.revision} and is at ${found[0]?.revision}`);
    else if (found[0].previous !== one.expected)
      faults.push(`${one.text} replaced ${found[0].previous}, expected ${one.expected}`);
    else if (textOf(result) !== `${one.text}@${result.revision}`)
      faults.push(`${one.text} came back as ${textOf(result)}`);
  }
  return faults;
}

/** The object that a refusal shows must have existed at some time between the call and its answer. */
function checkReason({ key, span, text }: WriteAttempt, entry: Entry | undefined, { states }: Truth): string[] {
  if (!states) return [];
  const all = states.get(key) ?? [];
  const shown = entry?.revision ?? 0;
  const stood = all.some(({ step, revision }, index) => {
    const until = all[index + 1]?.step ?? Number.POSITIVE_INFINITY;
    return revision === shown && step <= span.ended && until >= span.began;
  });
  const atBirth = shown === 0 && (all[0]?.step ?? Number.POSITIVE_INFINITY) >= span.began;
  return stood || atBirth
    ? []
    : [`${text || `a read of ${key}`} was shown revision ${shown}, which did not exist then`];
}

/** Every change above the start, once and in order, up to the revision that the follower has reached. */
function checkFollowed({ followed }: History, { log }: Truth): string[] {
  const faults: string[] = [];
  const texts = new Map(log.map((change) => [change.revision, `${change.text}@${change.revision}`]));
  for (const { start, through, changes } of followed) {
    const wanted = log.filter(({ revision }) => revision > start && revision <= through);
    const lineOf = (revision: number, type: string, key: string, text: string, before: string) =>
      `${revision} ${type} ${key} ${text} from ${before}`;
    const expected = wanted.map((change) =>
      lineOf(
        change.revision,
        change.type,
        change.key,
        `${change.text}@${change.revision}`,
        texts.get(change.previous) ?? "",
      ),
    );
    const seen = changes.map((change) =>
      lineOf(
        change.revision,
        change.type,
        change.key,
        textOf(change.entry),
        change.previous ? textOf(change.previous) : "",
      ),
    );
    if (expected.join("\n") !== seen.join("\n"))
      faults.push(`a follower from ${start} to ${through} saw [${seen.join("; ")}] of [${expected.join("; ")}]`);
  }
  return faults;
}

/** A list is the log's prefix at its revision, which is not below an earlier acknowledged one. */
function checkLists({ listed, caughtUp }: History, { log }: Truth): string[] {
  const faults: string[] = [];
  const stateAt = (revision: number) => {
    const state = new Map<string, string>();
    for (const change of log) {
      if (change.revision > revision) break;
      if (change.type === "delete") state.delete(change.key);
      else state.set(change.key, `${change.text}@${change.revision}`);
    }
    return state;
  };
  const compare = (what: string, entries: Entry[], revision: number, inside: (key: string) => boolean) => {
    const state = stateAt(revision);
    const expected = [...state]
      .filter(([key]) => inside(key))
      .map(([, text]) => text)
      .sort();
    const seen = entries.map(textOf).sort();
    if (expected.join() !== seen.join())
      faults.push(`${what} at ${revision} has [${seen.join(", ")}], the log says [${expected.join(", ")}]`);
  };
  for (const { page, acknowledged, at, after } of listed) {
    if (at === undefined && page.revision < acknowledged)
      faults.push(`a list at ${page.revision} began after ${acknowledged} was acknowledged`);
    if (at !== undefined && page.revision !== at) faults.push(`a list at ${at} says ${page.revision}`);
    const last = page.entries.at(-1)?.key;
    compare("a list", page.entries, page.revision, (key) => {
      if (after !== undefined && key <= after) return false;
      return !page.more || (last !== undefined && key <= last);
    });
  }
  for (const { acknowledged, revision, page } of caughtUp) {
    if (revision < acknowledged) faults.push(`a cache caught up to ${revision} after ${acknowledged} was acknowledged`);
    compare("a cache", page.entries, page.revision, () => true);
  }
  return faults;
}

import { afterAll, expect, test } from "vitest";
import type { Plugin } from "#admission";
import {
  apiVersionOf,
  applyDefaults,
  catalog,
  decode,
  type FieldError,
  fillZeros,
  type Kind,
  type KubernetesObject,
  noAccess,
} from "#api";
import { clone, isApiError, type Json, silentLog } from "#base";
import { bodyOf, indexOf, keyOf, Registry, Resources, schemaOf } from "#resources";
import { memoryStore } from "#store/memory";
import { handClock } from "#test/make";
import { type Row, readRows } from "./read.ts";

type Stored = KubernetesObject & { spec?: unknown; status?: unknown };

function kindOf({ apiVersion, kind: name }: Row["object"]): Kind {
  const kind = catalog.find((candidate) => candidate.kind === name && apiVersionOf(candidate) === apiVersion);
  if (!kind) throw new Error(`no ${apiVersion} ${name} in the catalog`);
  return kind;
}

/** The object of a row as a client sends it. */
const sent = (kind: Kind, json: Row["object"]): Stored => {
  const object = decode(kind.shape, json as Json).object as unknown as Stored;
  object.metadata ??= {};
  return object;
};

function withDefaults(kind: Kind, object: Stored): Stored {
  fillZeros(kind.shape, object);
  applyDefaults(kind.shape, object);
  kind.defaults?.(object);
  return object;
}

interface Outcome {
  object: Stored | undefined;
  causes: FieldError[];
}

const mark = "golden.skiff.dev/admitted";
const invalidMark = "not a name!";

/**
 * Shows that defaults come before admission and validation after it: it finds defaults in every object, and marks each
 * by an annotation, which validation refuses where `name` is no annotation's.
 */
const marking = (name: string): Plugin => ({
  name: "Marking",
  mutate({ kind, object }) {
    const before = object as Stored;
    expect(before, "the object has its defaults before admission").toEqual(withDefaults(kind, clone(before)));
    if (!kind.answer) before.metadata.annotations = { ...before.metadata.annotations, [name]: "yes" };
  },
});

/** Runs a row through the server's own pipeline, as a dry run. */
async function run(kind: Kind, row: Row, now: number): Promise<Outcome> {
  const object = sent(kind, row.object);
  // A new object gets the uid of the row, which rows of jobs repeat in their selectors.
  const uid = Buffer.from((object.metadata.uid ?? "").replaceAll("-", ""), "hex");
  const random = { bytes: (length: number) => Buffer.concat([uid, Buffer.alloc(length)], length), fraction: () => 0 };
  const isWrong = (row.causes?.length ?? 0) > 0;
  const resources = new Resources({
    store: memoryStore(),
    registry: new Registry(catalog),
    clock: handClock(now),
    random,
    log: silentLog,
    admission: [marking(isWrong ? invalidMark : mark)],
  });
  // Writers have every right; the users of reviews have none.
  const decision = kind.answer ? undefined : { allowed: true as const };
  const access = { ...noAccess, authorize: async () => decision };
  const client = resources.client({ name: "golden", groups: ["system:masters"] }, access);
  try {
    if (!row.previous) return outcomeOf(kind, await client.create(kind, object, { dryRun: true }), []);
    object.metadata.resourceVersion = await store(resources, kind, row);
    const request = { dryRun: true as const, ...(row.subresource ? { subresource: row.subresource } : {}) };
    return outcomeOf(kind, await client.update(kind, object, request), []);
  } catch (error) {
    const causes = isApiError(error) ? error.status.details?.causes : undefined;
    if (!causes) throw error;
    return outcomeOf(kind, undefined, causes as FieldError[]);
  }
}

/** Puts the stored object of a row into the store, as an earlier version of the server may have left it. */
async function store({ store, registry }: Resources, kind: Kind, row: Row): Promise<string> {
  const previous = withDefaults(kind, sent(kind, row.previous!));
  const { type, storageKind } = registry.of(kind);
  const object = kind.stored ? kind.stored.to(previous) : previous;
  const content = {
    body: bodyOf(storageKind, object),
    schema: schemaOf(storageKind),
    index: indexOf(storageKind, object),
  };
  const { namespace, name = "" } = previous.metadata;
  const [entry] = await store.commit(type, [{ type: "create", key: keyOf(namespace, name), ...content }]);
  if (!entry || entry instanceof Error) throw entry;
  return String(entry.revision);
}

let marked = 0;

/** Checks the mark of the admission plugin, and removes it. */
function outcomeOf(kind: Kind, object: Stored | undefined, causes: FieldError[]): Outcome {
  if (kind.answer) return { object, causes };
  marked++;
  if (!object) {
    const isMark = ({ field, message }: FieldError) =>
      field === "metadata.annotations" && message.includes(invalidMark);
    expect(causes.filter(isMark), "validation sees what admission has changed").toHaveLength(1);
    return { object, causes: causes.filter((cause) => !isMark(cause)) };
  }
  const { [mark]: value, ...annotations } = object.metadata.annotations ?? {};
  expect(value, "the object has been admitted").toBe("yes");
  const metadata = clone(object.metadata);
  if (Object.keys(annotations).length > 0) metadata.annotations = annotations;
  else delete metadata.annotations;
  return { object: { ...object, metadata }, causes };
}

/** Messages of which a part is how Go prints a struct of its own: only what follows it counts. */
const structs = /^((?:Invalid|Duplicate|Unsupported) value): [[{&].*?(?:: (?=[a-zA-Z`])(.*))?$/s;
/** Upstream adds a line diff of its internal form. */
const withDiff = /^(Forbidden: (?:pod updates may not change|existing ephemeral containers).*?)\n.*$/s;

/** Go's parser prints the structs that it compares. */
const withTags = /(asn1: structure error: tags don't match).*$/s;

function comparable(causes: readonly FieldError[]): string[] {
  const texts = causes.map(({ field, reason, message }) => {
    const text = message.replace(withDiff, "$1").replace(withTags, "$1").replace(structs, "$1: …: $2");
    return `${field} | ${reason} | ${text}`;
  });
  // Upstream's maps have no order, and it says some things twice.
  return [...new Set(texts)].sort();
}

/** Structs that Go prints even when there is nothing in them. */
const emptyStructs = [
  "lastState",
  "source",
  "deprecatedSource",
  "nodeInfo",
  "status",
  "spec",
  "metadata",
  "loadBalancer",
];

function essential(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(essential);
  if (typeof value !== "object" || value === null) return value;
  const made: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) {
    if (member === undefined || member === null) continue;
    const inner = key === "lastTransitionTime" ? "now" : essential(member);
    const isEmpty = typeof inner === "object" && inner !== null && Object.keys(inner).length === 0;
    if (inner === undefined || inner === "" || (isEmpty && (Array.isArray(inner) || emptyStructs.includes(key))))
      continue;
    made[key] = inner;
  }
  return made;
}

function stored(object: Stored): unknown {
  const { uid, creationTimestamp, resourceVersion, generation, ...metadata } = object.metadata;
  const made = essential({ ...object, metadata }) as { status?: { replicas?: number } };
  if (made.status?.replicas === 0 && Object.keys(made.status).length === 1) delete made.status;
  return made;
}

/** The rows leave out structs of zero values, which Go prints. */
function filled(kind: Kind, out: Stored): Stored {
  const copy = { ...clone(out), metadata: clone(out.metadata ?? {}) };
  fillZeros(kind.shape, copy);
  return copy;
}

function cellsOf(kind: Kind, row: Row, now: number): Record<string, unknown> {
  const object = withDefaults(kind, sent(kind, row.object));
  return Object.fromEntries((kind.columns ?? []).map((column) => [column.name, column.value(object, now)]));
}

const files = readRows();

test.each(
  files.flatMap(({ kind, file, now, rows }) =>
    rows.map((row) => ({ title: `${kind}/${file}: ${row.name} (${row.source})`, row, now })),
  ),
)("$title", async ({ row, now }) => {
  const kind = kindOf(row.object);
  if (row.cells) {
    expect(cellsOf(kind, row, now)).toEqual(row.cells);
    expect((kind.columns ?? []).filter(({ priority }) => priority).map(({ name }) => name)).toEqual(row.wide);
    return;
  }
  const { object, causes } = await run(kind, row, now);
  expect(comparable(causes)).toEqual(comparable(row.causes ?? []));
  if (row.out) expect(stored(object!)).toEqual(stored(filled(kind, row.out as unknown as Stored)));
});

afterAll(() => expect(marked).toBeGreaterThan(700));

test("there are rows enough", () => {
  const counts = new Map<string, number>();
  for (const { kind, rows } of files) counts.set(kind, (counts.get(kind) ?? 0) + rows.length);
  console.log(`golden rows: ${[...counts].map(([kind, count]) => `${kind} ${count}`).join(", ")}`);
  expect(counts.get("pod")).toBeGreaterThan(150);
  expect(counts.get("service")).toBeGreaterThan(40);
  expect(counts.get("deployment")).toBeGreaterThan(40);
  expect(counts.size).toBeGreaterThanOrEqual(16);
});

import { expect, test } from "vitest";
import {
  apiVersionOf,
  applyDefaults,
  catalog,
  decode,
  type FieldError,
  fillZeros,
  type Kind,
  type KubernetesObject,
  validateObjectMeta,
  validateObjectMetaUpdate,
} from "#api";
import { clone, type Json } from "#base";
import { type Row, readRows } from "./read.ts";

type Stored = KubernetesObject & { spec?: unknown; status?: unknown };

function kindOf({ apiVersion, kind: name }: Row["object"]): Kind {
  const kind = catalog.find((candidate) => candidate.kind === name && apiVersionOf(candidate) === apiVersion);
  if (!kind) throw new Error(`no ${apiVersion} ${name} in the catalog`);
  return kind;
}

function read(kind: Kind, json: Row["object"]): Stored {
  const shape = kind.shape;
  const object = decode(shape, json as Json).object as unknown as Stored;
  applyDefaults(shape, object);
  kind.defaults?.(object);
  object.metadata.resourceVersion ??= "1";
  return object;
}

interface Outcome {
  object: Stored;
  causes: FieldError[];
}

function create(kind: Kind, row: Row, now: number): Outcome {
  const object = read(kind, row.object);
  if (kind.answer) delete object.metadata.resourceVersion;
  if (kind.subresources?.["status"] && !kind.keepsStatusOnCreate) delete object.status;
  kind.prepareForCreate?.(object, { now });
  const causes = kind.answer ? [] : validateObjectMeta(kind, object.metadata);
  causes.push(...(kind.validate?.(object) ?? []), ...(kind.validateCreate?.(object) ?? []));
  return { object, causes };
}

function update(kind: Kind, row: Row, now: number): Outcome {
  const object = read(kind, row.object);
  const previous = read(kind, row.previous!);
  const part = row.subresource === undefined ? undefined : kind.subresources?.[row.subresource];
  if (part?.type === "status") {
    keep(object, previous, "spec");
    part.prepare?.(object, previous);
  } else if (part?.type === "partialUpdate") part.prepare(object, previous);
  else {
    if (kind.subresources?.["status"]) keep(object, previous, "status");
    kind.prepareForUpdate?.(object, previous, { now });
  }
  const causes = validateObjectMetaUpdate(kind, object.metadata, previous.metadata);
  if (part?.type === "status" || part?.type === "partialUpdate")
    causes.push(...(part.validate?.(object, previous) ?? []));
  else causes.push(...(kind.validate?.(object) ?? []), ...(kind.validateUpdate?.(object, previous) ?? []));
  return { object, causes };
}

function keep(object: Stored, previous: Stored, member: "spec" | "status"): void {
  if (previous[member] === undefined) delete object[member];
  else object[member] = clone(previous[member]);
}

/** Messages of which a part is how Go prints a struct of its own: only what follows it counts. */
const structs = /^((?:Invalid|Duplicate|Unsupported) value): [[{&].*?(?:: (?=[a-zA-Z`])(.*))?$/s;
/** Upstream adds a line diff of its internal form. */
const withDiff = /^(Forbidden: (?:pod updates may not change|existing ephemeral containers).*?)\n.*$/s;

function comparable(causes: readonly FieldError[]): string[] {
  const texts = causes.map(({ field, reason, message }) => {
    const text = message.replace(withDiff, "$1").replace(structs, "$1: …: $2");
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
  const object = read(kind, row.object);
  return Object.fromEntries((kind.columns ?? []).map((column) => [column.name, column.value(object, now)]));
}

const files = readRows();

test.each(
  files.flatMap(({ kind, file, now, rows }) =>
    rows.map((row) => ({ title: `${kind}/${file}: ${row.name} (${row.source})`, row, now })),
  ),
)("$title", ({ row, now }) => {
  const kind = kindOf(row.object);
  if (row.cells) {
    expect(cellsOf(kind, row, now)).toEqual(row.cells);
    expect((kind.columns ?? []).filter(({ priority }) => priority).map(({ name }) => name)).toEqual(row.wide);
    return;
  }
  const { object, causes } = row.previous ? update(kind, row, now) : create(kind, row, now);
  expect(comparable(causes)).toEqual(comparable(row.causes ?? []));
  if (row.out) expect(stored(object)).toEqual(stored(filled(kind, row.out as unknown as Stored)));
});

test("there are rows enough", () => {
  const counts = new Map<string, number>();
  for (const { kind, rows } of files) counts.set(kind, (counts.get(kind) ?? 0) + rows.length);
  console.log(`golden rows: ${[...counts].map(([kind, count]) => `${kind} ${count}`).join(", ")}`);
  expect(counts.get("pod")).toBeGreaterThan(150);
  expect(counts.get("service")).toBeGreaterThan(40);
  expect(counts.get("deployment")).toBeGreaterThan(40);
  expect(counts.size).toBeGreaterThanOrEqual(16);
});

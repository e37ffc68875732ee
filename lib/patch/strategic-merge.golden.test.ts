import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { deployments } from "#api/apps";
import { pods, serviceAccounts, services } from "#api/core";
import { type Json, type JsonObject, parseJson } from "#base";
import { strategicMerge } from "./index.ts";

interface Row {
  kind: string;
  object: JsonObject;
  patch: JsonObject;
  result?: JsonObject;
  /** Why upstream refuses the patch, or how it panicked. */
  refused?: string;
}

const { rows } = parseJson(
  readFileSync(join(import.meta.dirname, "../../test/golden/strategic-merge.json"), "utf8"),
) as unknown as { rows: Row[] };
const shapes = new Map([deployments, pods, services, serviceAccounts].map((kind) => [kind.kind, kind.shape]));

/** Without null members, which mean nothing to the decoder. */
function withoutNulls(json: Json): Json {
  if (Array.isArray(json)) return json.map(withoutNulls);
  if (typeof json !== "object" || json === null) return json;
  const members = Object.entries(json).filter(([, value]) => value !== null);
  return Object.fromEntries(members.map(([key, value]) => [key, withoutNulls(value)]));
}

function outcome({ kind, object, patch }: Row): Json {
  const before = JSON.stringify([object, patch]);
  try {
    return { result: withoutNulls(strategicMerge(shapes.get(kind)!, object, patch)) };
  } catch (error) {
    return { refused: (error as { code: number }).code };
  } finally {
    expect(JSON.stringify([object, patch])).toBe(before);
  }
}

test("strategic merge patches do what upstream's function does", () => {
  expect(rows.length).toBeGreaterThan(200);
  for (const row of rows) {
    const { kind, object, patch, result } = row;
    const expected: JsonObject = result ? { result: withoutNulls(result) } : { refused: 400 };
    expect({ kind, object, patch, ...(outcome(row) as JsonObject) }).toEqual({ kind, object, patch, ...expected });
  }
});

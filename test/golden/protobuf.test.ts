import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import * as api from "#api";
import type { JsonObject } from "#base";
import { protobuf } from "#wire";

const { decodeEnvelope, encodeEnvelope } = await protobuf();

/** An object in both forms, as upstream's v1.36 libraries write it; in the full ones every field is set. */
interface Row {
  apiVersion: string;
  kind: string;
  name: "full" | "stub template" | "sparse";
  json: JsonObject;
  protobuf: string;
}
const rows = JSON.parse(readFileSync(join(import.meta.dirname, "protobuf.json"), "utf8")) as Row[];

const bodies = {
  DeleteOptions: api.DeleteOptions,
  PatchOptions: api.PatchOptions,
  Status: api.StatusAnswer,
  APIGroupList: api.APIGroupList,
  APIResourceList: api.APIResourceList,
};

function shapeFor({ apiVersion, kind }: Row): api.MessageShape {
  const known = api.catalog.find(
    (one) => one.kind === kind && (one.group === "" ? one.version : `${one.group}/${one.version}`) === apiVersion,
  );
  return known?.shape ?? api.messageShapeOf(bodies[kind as keyof typeof bodies]);
}

describe.each(rows)("$apiVersion $kind, $name", (row) => {
  const shape = shapeFor(row);
  const bytes = Buffer.from(row.protobuf, "base64");
  const { object } = api.decode(shape, row.json);
  /** As a body is read: what protobuf leaves out has its zero value. */
  const read = (envelope: ReturnType<typeof decodeEnvelope>): JsonObject => {
    const found = envelope.decode(shape);
    api.fillZeros(shape, found);
    return found;
  };

  test("upstream's bytes are read", () => {
    const envelope = decodeEnvelope(bytes);
    expect(envelope).toMatchObject({ apiVersion: row.apiVersion, kind: row.kind });
    expect(read(envelope)).toEqual(object);
  });

  test("what is written is the same", () => {
    const written = encodeEnvelope(row, shape, object);
    if (row.name === "full") expect(Buffer.from(written).toString("base64")).toBe(row.protobuf);
    else expect(read(decodeEnvelope(written))).toEqual(object);
  });
});

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { memoryStore } from "#store/memory";
import { bareServer } from "./testing/bare-server.ts";

interface Row {
  path: string;
  object: { metadata: { name: string } };
  patch: object;
  /** What v1.37.2 answers. */
  code: number;
  message?: string;
  template?: object;
  ports?: object[];
  imagePullSecrets?: object[] | null;
  secrets?: object[] | null;
  finalizers?: string[] | null;
  warnings?: string[];
}

const { rows } = JSON.parse(
  readFileSync(join(import.meta.dirname, "../../test/golden/strategic-merge-server.json"), "utf8"),
) as { rows: Row[] };
const type = { "content-type": "application/strategic-merge-patch+json" };

/** Warnings of the decoder; what admission warns of is tested elsewhere. */
const decodings = (warnings: string[]): string[] =>
  warnings.filter((warning) => /(?:unknown|duplicate) field/.test(warning));

test("strategic merge patches are answered as by kube-apiserver", async () => {
  const { ask } = bareServer(memoryStore());
  expect(rows.length).toBeGreaterThanOrEqual(80);
  for (const { path, object, patch, ...row } of rows) {
    const { name } = object.metadata;
    expect([name, (await ask("POST", path, object)).status]).toEqual([name, 201]);
    const { status, json, headers } = await ask("PATCH", `${path}/${name}?dryRun=All`, patch, type);
    // Upstream takes a patch that it cannot apply for a fault of its own (500); here it is the client's.
    if (row.code !== 200) {
      expect([name, status]).toEqual([name, row.code === 500 ? 400 : row.code]);
      expect([name, json.message]).toEqual([name, row.code === 422 ? json.message : row.message]);
      continue;
    }
    expect([name, json.message ?? ""]).toEqual([name, ""]);
    const got: Omit<Row, "path" | "object" | "patch"> = {
      code: status,
      finalizers: json.metadata.finalizers ?? null,
      warnings: decodings([headers["warning"] ?? []].flat()),
    };
    if (row.template) got.template = json.spec.template.spec;
    if (row.ports) got.ports = json.spec.ports;
    if (row.secrets) Object.assign(got, { secrets: json.secrets, imagePullSecrets: json.imagePullSecrets });
    expect({ name, ...got }).toEqual({ name, ...row, warnings: decodings(row.warnings ?? []) });
  }
});

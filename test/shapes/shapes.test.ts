import { afterAll, beforeAll, expect, test } from "vitest";
import { apiVersionOf, catalog, type Kind } from "#api";
import type { Json, JsonObject } from "#base";
import { openCluster, type TestCluster } from "#test/cluster";
import { fixtureOf, partFixtures, statuses } from "./fixtures.ts";
import { everywhere, fieldsOf, ownerOf, type Path, withValue } from "./walk.ts";

/*
 * Whatever a client puts into any field of any kind is answered by a refusal or an object, never by a failure of the
 * server: the shapes are walked, so a new field is covered with the kind that has it. kube-apiserver decodes into
 * structs in which every member has a zero value, so it has no such failures. SKIFF_EVERY_FIELD=1 visits a type at each
 * place where it occurs, and not only at the first one in a kind; without it a type is patched in the first kind that
 * has it, and created and replaced in every one.
 */

// Nearly every request here is rejected, and stacks of errors are not read.
const { stackTraceLimit } = Error;
beforeAll(() => {
  Error.stackTraceLimit = 0;
});
afterAll(() => {
  Error.stackTraceLimit = stackTraceLimit;
});

const values: readonly Json[] = [null, "", "x", 0, -1, true, [], [null], [{}], {}, { a: null }];

function placeOf(kind: Kind): string {
  const root = kind.group === "" ? "/api/v1" : `/apis/${apiVersionOf(kind)}`;
  return `${root}${kind.scope === "Namespaced" ? "/namespaces/default" : ""}/${kind.plural}`;
}

const json = "application/json";
const merge = "application/merge-patch+json";
const strategic = "application/strategic-merge-patch+json";
const jsonPatch = "application/json-patch+json";
/** Tables have their own encoder. */
const table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await openCluster({ asleep: true });
  const make = (path: string, body: Json) => cluster.ask("POST", path, body);
  await make("/api/v1/namespaces", { metadata: { name: "default" } });
  await make("/api/v1/namespaces/default/serviceaccounts", { metadata: { name: "default" } });
  await make("/apis/networking.k8s.io/v1/servicecidrs", {
    metadata: { name: "kubernetes" },
    spec: { cidrs: ["10.96.0.0/16"] },
  });
});
afterAll(() => cluster.close());

/** Sends requests and records those that the server could not answer. */
class Prober {
  readonly failures: string[] = [];

  async send(method: string, path: string, body: Json, type = json, label = ""): Promise<number> {
    const answer = await cluster.ask(method, path, JSON.stringify(body), { "content-type": type, accept: table });
    if (answer.status >= 500) this.failures.push(`${method} ${path} ${type} ${label}: ${answer.json.message}`);
    return answer.status;
  }

  /** The most requests in flight that speed up the test. */
  get shown(): string[] {
    return this.failures.slice(0, 20);
  }
}

const kinds = catalog.filter((kind) => !kind.internal && fixtureOf(kind));
const named = kinds.map((kind) => ({ name: `${apiVersionOf(kind)} ${kind.kind}`, kind }));

/** The kind in which a type's fields are patched. */
const patchedIn = new Map<string | undefined, Kind>();
for (const kind of kinds) {
  const shape = kind.shape;
  for (const path of fieldsOf(shape)) {
    const owner = ownerOf(shape, path);
    if (kind.answer === undefined && owner !== undefined && !patchedIn.has(owner)) patchedIn.set(owner, kind);
  }
}
const isPatched = (kind: Kind, path: Path): boolean => {
  const owner = ownerOf(kind.shape, path);
  return everywhere || owner === undefined || patchedIn.get(owner) === kind;
};

test("every kind that clients can write has a fixture", () => {
  const posted = Object.values(partFixtures).map(({ form }) => form);
  const written = catalog.filter((kind) => !kind.internal && !kind.compute);
  const without = written.filter((kind) => !fixtureOf(kind) && !posted.includes(kind.kind));
  expect(without.map(({ kind }) => kind)).toEqual([]);
});

/** Sends one value of one field by every verb; creates with names of their own are kept, so that they are indexed. */
async function probe(prober: Prober, kind: Kind, path: Path, value: Json, number: number): Promise<void> {
  const valid = fixtureOf(kind)!;
  const place = placeOf(kind);
  const name = (valid["metadata"] as JsonObject | undefined)?.["name"] as string | undefined;
  const label = `${path.join(".")} = ${JSON.stringify(value)}`;
  const changed = withValue(valid, path, value) as JsonObject;
  const own = path[0] === "metadata" || name === undefined || kind.name === "ip";
  if (own) await prober.send("POST", `${place}?dryRun=All`, changed, json, label);
  else await prober.send("POST", place, withValue(changed, ["metadata", "name"], `a${number}`), json, label);
  if (kind.answer || name === undefined) return;
  const inStatus = path[0] === "status" && kind.subresources?.["status"] !== undefined;
  const at = `${place}/${name}${inStatus ? "/status" : ""}?dryRun=All`;
  await prober.send("PUT", at, changed, json, label);
  if (isPatched(kind, path)) {
    const patch = withValue({}, path, value);
    await prober.send("PATCH", at, patch, merge, label);
    await prober.send("PATCH", at, patch, strategic, label);
    const member = changed[path[0]!] ?? null;
    await prober.send("PATCH", at, [{ op: "add", path: `/${path[0]}`, value: member }], jsonPatch, label);
  }
  for (const [part, { type }] of Object.entries(kind.subresources ?? {})) {
    if (type === "partialUpdate") await prober.send("PUT", `${place}/${name}/${part}?dryRun=All`, changed, json, label);
  }
}

test.each(named)("no value of any field of $name is a failure", { timeout: 600_000 }, async ({ kind }) => {
  const prober = new Prober();
  expect((await cluster.ask("POST", placeOf(kind), fixtureOf(kind)!)).json).not.toHaveProperty("status", "Failure");
  const status = statuses[kind.kind];
  const name = (fixtureOf(kind)!["metadata"] as JsonObject | undefined)?.["name"];
  if (status) expect(await prober.send("PATCH", `${placeOf(kind)}/${name}/status`, { status }, merge)).toBe(200);
  let number = 0;
  for (const path of fieldsOf(kind.shape)) {
    for (const value of values) await probe(prober, kind, path, value, number++);
  }
  expect(prober.shown).toEqual([]);
});

test.each(Object.entries(partFixtures))("no value of a body sent to %s is a failure", async (part, { form, body }) => {
  const prober = new Prober();
  const [owner, subresource] = part.split("/");
  const kind = catalog.find((candidate) => candidate.kind === owner)!;
  const name = owner === "ServiceAccount" ? "default" : "part";
  const fixture = withValue(fixtureOf(kind)!, ["metadata", "name"], name);
  await prober.send("POST", placeOf(kind), fixture);
  const shape = catalog.find((candidate) => candidate.kind === form)!.shape;
  const isScale = form === "Scale";
  for (const path of fieldsOf(shape)) {
    for (const value of values) {
      const at = `${placeOf(kind)}/${name}/${subresource}?dryRun=All`;
      const label = `${path.join(".")} = ${JSON.stringify(value)}`;
      await prober.send(isScale ? "PUT" : "POST", at, withValue(body, path, value), json, label);
      if (!isScale) continue;
      await prober.send("PATCH", at, withValue({}, path, value), merge, label);
    }
  }
  expect(prober.shown).toEqual([]);
});

const bodies: readonly Json[] = [
  null,
  true,
  0,
  "",
  "x",
  [],
  [null],
  {},
  { metadata: null },
  { apiVersion: 1, kind: 1 },
];

/** The paths of a kind's subresources. Behind `proxy` the server passes on what another one answers. */
function ownParts(kind: Kind): string[] {
  const parts = Object.entries(kind.subresources ?? {}).filter(([, { type }]) => type !== "proxy");
  return parts.map(([name]) => `/${name}`);
}

test.each(named)("no body is a failure at the paths of $name", async ({ kind }) => {
  const prober = new Prober();
  const place = placeOf(kind);
  const at = `${place}/none`;
  for (const body of bodies) {
    const label = JSON.stringify(body);
    await prober.send("POST", `${place}?dryRun=All`, body, json, label);
    await prober.send("DELETE", `${at}?dryRun=All`, body, json, label);
    for (const part of ["", ...ownParts(kind)]) {
      await prober.send("POST", `${at}${part}?dryRun=All`, body, json, label);
      await prober.send("PUT", `${at}${part}?dryRun=All`, body, json, label);
      for (const type of [merge, strategic, jsonPatch]) {
        await prober.send("PATCH", `${at}${part}?dryRun=All`, body, type, label);
      }
    }
  }
  expect(prober.shown).toEqual([]);
});

const options = [
  "dryRun",
  "fieldManager",
  "fieldValidation",
  "force",
  "gracePeriodSeconds",
  "propagationPolicy",
  "orphanDependents",
  "limit",
  "continue",
  "resourceVersion",
  "resourceVersionMatch",
  "timeoutSeconds",
  "sendInitialEvents",
  "labelSelector",
  "fieldSelector",
  "includeObject",
  "pretty",
];

test.each(options)("no value of the option %s is a failure", async (option) => {
  const prober = new Prober();
  const place = "/api/v1/namespaces/default/configmaps";
  const body = { metadata: { name: "none" } };
  for (const value of ["", "x", "-1", "0", "1e9", "99999999999999999999", "true", "%00", `x&${option}=y`, "a=b,,"]) {
    const query = `${option}=${value}`;
    await prober.send("POST", `${place}?${query}`, body);
    await prober.send("PUT", `${place}/none?${query}`, body);
    await prober.send("PATCH", `${place}/none?${query}`, {}, merge);
    await prober.send("DELETE", `${place}/none?${query}`, {});
    if (option !== "resourceVersion") await prober.send("GET", `${place}?${query}`, null);
  }
  expect(prober.shown).toEqual([]);
});

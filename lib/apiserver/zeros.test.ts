import { afterAll, beforeAll, expect, test } from "vitest";
import { events, roles } from "#api";
import { openCluster, type TestCluster } from "#test/cluster";

/* Fields without a value in answers, as v1.37.2 answered the same requests. */

let cluster: TestCluster;
let ask: TestCluster["ask"];
beforeAll(async () => {
  cluster = await openCluster({ asleep: true });
  ({ ask } = cluster);
  await ask("POST", "/api/v1/namespaces", { metadata: { name: "default" } });
});
afterAll(() => cluster.close());

const rolePath = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles";
const eventPath = "/api/v1/namespaces/default/events";
const jsonPatch = { "content-type": "application/json-patch+json" };
const named = (name: string) => ({ metadata: { name } });
const concerned = { involvedObject: { kind: "Pod", namespace: "default", name: "p" } };

test("times, lists and structs that are empty are in the text of every answer", async () => {
  const shown = {
    source: {},
    eventTime: null,
    firstTimestamp: null,
    lastTimestamp: null,
    reportingComponent: "",
    reportingInstance: "",
  };
  const sent = { ...named("e"), ...concerned };
  expect((await ask("POST", `${eventPath}?dryRun=All`, sent)).json).toMatchObject(shown);
  expect((await ask("POST", eventPath, sent)).json).toMatchObject(shown);
  expect((await ask("GET", `${eventPath}/e`)).json).toMatchObject(shown);
  expect((await ask("GET", eventPath)).json.items).toMatchObject([shown]);
  const table = "application/json;as=Table;v=v1;g=meta.k8s.io";
  const { rows } = (await ask("GET", `${eventPath}?includeObject=Object`, undefined, { accept: table })).json;
  expect(rows).toMatchObject([{ object: shown }]);
  const newer = { eventTime: null, deprecatedFirstTimestamp: null, deprecatedSource: {}, reportingController: "" };
  const other = "/apis/events.k8s.io/v1/namespaces/default/events/e";
  expect((await ask("GET", other)).json).toMatchObject(newer);
});

test("stores an empty list as null, and a write of the same object changes nothing", async () => {
  const made = await ask("POST", rolePath, { ...named("r"), rules: [] });
  expect(made.json).toMatchObject({ rules: null });
  for (const same of [named("r"), { ...named("r"), rules: [] }, made.json]) {
    const { json } = await ask("PUT", `${rolePath}/r`, same);
    expect([json.metadata.resourceVersion, json.rules]).toEqual([made.json.metadata.resourceVersion, null]);
  }
});

test("an absent struct equals an empty one", async () => {
  const template = { metadata: { labels: { a: "b" } }, spec: { containers: [{ name: "c", image: "i" }] } };
  const spec = { paused: true, selector: { matchLabels: { a: "b" } }, template };
  const deployments = "/apis/apps/v1/namespaces/default/deployments";
  const made = await ask("POST", deployments, { ...named("d"), spec });
  expect(made.json).toMatchObject({ status: {}, spec: { template: { spec: { containers: [{ resources: {} }] } } } });
  const empty = {
    ...spec,
    strategy: {},
    template: { ...template, spec: { containers: [{ name: "c", image: "i", resources: {} }] } },
  };
  const put = await ask("PUT", `${deployments}/d`, { ...named("d"), spec: empty });
  expect(put.json.metadata).toMatchObject({ generation: 1, resourceVersion: made.json.metadata.resourceVersion });
});

test("JSON patches work on the text that clients read, with its nulls", async () => {
  await ask("POST", rolePath, named("patched"));
  const rule = { apiGroups: [""], resources: ["pods"], verbs: ["get"] };
  const operations = [
    { op: "test", path: "/rules", value: null },
    { op: "replace", path: "/rules", value: [rule] },
  ];
  const { json } = await ask("PATCH", `${rolePath}/patched`, operations, jsonPatch);
  expect(json).toMatchObject({ rules: [rule] });
});

test("decodes null as undefined", async () => {
  await ask("POST", rolePath, named("read"));
  await ask("POST", eventPath, { ...named("read"), ...concerned });
  const at = { namespace: "default", name: "read" };
  expect((await cluster.client.get(roles, at)).rules).toBeUndefined();
  expect((await cluster.client.get(events, at)).eventTime).toBeUndefined();
});

import { afterEach, beforeEach, expect, test } from "vitest";
import { configMaps, type Kind, type KubernetesObject, messageShapeOf, namespaces, ObjectMeta } from "#api";
import { openCluster, type TestCluster } from "#test/cluster";

interface Widget extends KubernetesObject {
  size?: number;
}

/** A kind without a zod schema, as a custom resource will be. */
const widgets: Kind<Widget> = {
  group: "example.com",
  version: "v1",
  kind: "Widget",
  plural: "widgets",
  singular: "widget",
  shortNames: ["wi"],
  scope: "Namespaced",
  shape: {
    type: "message",
    name: "com.example.v1.Widget",
    fields: new Map([
      ["metadata", { shape: messageShapeOf(ObjectMeta), required: true, facts: { n: 1 } }],
      ["size", { shape: { type: "scalar", scalar: "int32" }, required: false, facts: { n: 2, default: 3 } }],
    ]),
  },
  columns: [{ name: "Size", type: "integer", value: ({ size = 0 }) => size }],
};
const collection = "/apis/example.com/v1/namespaces/default/widgets";
const tables = { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" };

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await openCluster();
  await cluster.quiet();
});
afterEach(() => cluster.close());

const add = () => cluster.plane.resources.registry.add(widgets as Kind);
const remove = () => cluster.plane.resources.registry.remove(widgets as Kind);
const get = async (path: string) => (await cluster.ask("GET", path)).json;

/** What discovery and OpenAPI say of the kind. */
async function described() {
  const groups: { name: string }[] = (await get("/apis")).groups;
  const resources = await get("/apis/example.com/v1");
  const index = await get("/openapi/v3");
  const document = index.paths["apis/example.com/v1"];
  const schemas = document ? (await get(document.serverRelativeURL)).components.schemas : {};
  return {
    group: groups.some(({ name }) => name === "example.com"),
    names: resources.resources?.map(({ name, shortNames }: { name: string; shortNames: string[] }) => [
      name,
      shortNames,
    ]),
    v3: Object.hasOwn(schemas, "com.example.v1.Widget"),
    v2: Object.hasOwn((await get("/openapi/v2")).definitions, "com.example.v1.Widget"),
  };
}

/** Opens a watch of all widgets; `events` is filled as they arrive, `ended` becomes true at its end. */
async function openWatch() {
  const response = await cluster.plane.server.handle({
    method: "GET",
    path: collection,
    query: new URLSearchParams("watch=true&resourceVersion=0"),
    headers: {},
    body: async () => new Uint8Array(),
    signal: new AbortController().signal,
    peer: { certificate: { commonName: "admin", organizations: ["system:masters"] } },
  });
  const watch = { events: [] as string[], ended: false };
  const read = async () => {
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
      for (const line of Buffer.from(chunk).toString().trimEnd().split("\n")) {
        const { type, object } = JSON.parse(line);
        watch.events.push(`${type} ${object.metadata?.name}`);
      }
    }
    watch.ended = true;
  };
  void read();
  return watch;
}

const missing = (kind: Kind, name: string, namespace = "default") =>
  cluster.until(
    async () => !(await cluster.client.list(kind, { namespace })).items.some((one) => one.metadata.name === name),
    1,
  );

test("discovery and OpenAPI follow kinds that are added and removed", async () => {
  const absent = { group: false, names: undefined, v3: false, v2: false };
  expect(await described()).toEqual(absent);
  add();
  expect(await described()).toEqual({ group: true, names: [["widgets", ["wi"]]], v3: true, v2: true });
  remove();
  expect(await described()).toEqual(absent);
});

test("the document of a group and version follows the second kind in it", async () => {
  add();
  const address = async () => (await get("/openapi/v3")).paths["apis/example.com/v1"].serverRelativeURL;
  const before = await address();
  const shape = { ...widgets.shape, name: "com.example.v1.Gadget" };
  const gadgets = { ...widgets, kind: "Gadget", plural: "gadgets", singular: "gadget", shortNames: [], shape } as Kind;
  cluster.plane.resources.registry.add(gadgets);
  const after = await address();
  expect(after).not.toBe(before);
  expect((await get(after)).components.schemas).toHaveProperty(["com.example.v1.Gadget"]);
});

test("an added kind has all verbs, defaults, tables and watches until it is removed", async () => {
  expect((await cluster.ask("GET", collection)).status).toBe(404);
  add();
  const watch = await openWatch();
  const created = await cluster.ask("POST", collection, { metadata: { name: "one" }, color: "red" });
  expect([created.status, created.json.size]).toEqual([201, 3]);
  expect(created.headers["warning"]).toEqual(['299 - "unknown field \\"color\\""']);
  const table = (await cluster.ask("GET", collection, undefined, tables)).json;
  expect(table.columnDefinitions.map(({ name }: { name: string }) => name)).toEqual(["Size"]);
  expect(table.rows[0].cells).toEqual([3]);
  await cluster.ask("PATCH", `${collection}/one`, { size: 5 }, { "content-type": "application/merge-patch+json" });
  await cluster.ask("DELETE", `${collection}/one`);
  await cluster.until(async () => watch.events.length === 3, 1);
  expect(watch).toEqual({ events: ["ADDED one", "MODIFIED one", "DELETED one"], ended: false });
  remove();
  await cluster.until(async () => watch.ended, 1);
  expect(watch.events).toHaveLength(3);
  expect((await cluster.ask("GET", collection)).status).toBe(404);
});

test("the garbage collector follows an added kind, as owner and as dependent", async () => {
  add();
  const of = (owner: KubernetesObject, apiVersion: string, kind: string) => {
    const { name = "", uid = "" } = owner.metadata;
    return [{ apiVersion, kind, name, uid }];
  };
  const own = { namespace: "default" };
  const map = await cluster.client.create(configMaps, { metadata: { ...own, name: "owner" } });
  const ownerReferences = of(map, "v1", "ConfigMap");
  const widget = await cluster.client.create(widgets, { metadata: { ...own, name: "owned", ownerReferences } });
  const below = of(widget, "example.com/v1", "Widget");
  await cluster.client.create(configMaps, { metadata: { ...own, name: "below", ownerReferences: below } });
  await cluster.quiet();
  await cluster.client.delete(configMaps, { ...own, name: "owner" });
  await missing(widgets as Kind, "owned");
  await missing(configMaps as Kind, "below");
});

test("a namespace's deletion removes the objects of an added kind", async () => {
  add();
  await cluster.client.create(namespaces, { metadata: { name: "busy" } });
  const made = { namespace: "busy", name: "one" };
  await cluster.client.create(widgets, { metadata: { ...made, finalizers: ["example.com/wait"] } });
  await cluster.client.delete(namespaces, { name: "busy" });
  const marked = await cluster.until(async () => {
    const widget = await cluster.client.get(widgets, made);
    return widget.metadata.deletionTimestamp ? widget : undefined;
  }, 1);
  const condition = await cluster.until(async () => {
    const { status } = await cluster.client.get(namespaces, { name: "busy" });
    return status?.conditions?.find(({ type, status }) => type === "NamespaceContentRemaining" && status === "True");
  }, 1);
  expect(condition.message).toBe("Some resources are remaining: widgets.example.com has 1 resource instances");
  const { finalizers: _, ...metadata } = marked.metadata;
  await cluster.client.update(widgets, { ...marked, metadata });
  await missing(widgets as Kind, "one", "busy");
});

test("a kind with the path of another is refused, and none of its call is added", () => {
  const clash = { ...widgets, group: "", plural: "pods" } as Kind;
  const { registry } = cluster.plane.resources;
  const before = registry.revision;
  expect(() => registry.add(widgets as Kind, clash)).toThrow("v1 pods is registered already");
  expect([registry.revision, registry.find("example.com", "v1", "widgets")]).toEqual([before, undefined]);
});

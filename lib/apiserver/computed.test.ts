import { expect, test } from "vitest";
import { ApiError } from "#base";
import { memoryStore } from "#store/memory";
import type { NodeLinks } from "./server.ts";
import { bareServer } from "./testing/bare-server.ts";

const at = Date.parse("2026-11-30T10:00:00Z");
const span = { at, window: 15_000 };

/** What each node answers to the question for its usage. */
type Answers = Record<string, unknown>;

async function serverWith(answers: Answers | undefined) {
  const links: NodeLinks = {
    async request(node, request) {
      expect(request).toEqual({ type: "usage" });
      const answer = answers?.[node];
      if (answer instanceof ApiError) throw answer;
      if (answer === undefined) throw new ApiError(503, "ServiceUnavailable", `node ${node} is not connected`);
      const text = typeof answer === "string" ? answer : JSON.stringify(answer);
      return {
        status: 200,
        headers: {},
        body: (async function* () {
          yield Buffer.from(text);
        })(),
      };
    },
    proxy: () => Promise.reject(new Error("not used")),
  };
  const server = bareServer(memoryStore(), {}, undefined, undefined, answers ? { links } : {});
  const { ask } = server;
  await ask("POST", "/api/v1/namespaces", { metadata: { name: "default" } });
  const uids: Record<string, string> = {};
  for (const name of ["n1", "n2"]) await ask("POST", "/api/v1/nodes", { metadata: { name, labels: { disk: name } } });
  for (const [name, nodeName] of [
    ["b", "n1"],
    ["a", "n1"],
    ["c", "n2"],
    ["unbound", undefined],
  ] as const) {
    const spec = { containers: [{ name: "main", image: "i" }], ...(nodeName ? { nodeName } : {}) };
    const { json } = await ask("POST", "/api/v1/namespaces/default/pods", {
      metadata: { name, labels: { app: name } },
      spec,
    });
    uids[name] = json.metadata.uid;
  }
  return { ...server, uids };
}

const containers = [{ name: "main", cpu: 1_234_567, memory: 2 ** 20 }];
const podOf = (name: string, uid: string | undefined) => ({ namespace: "default", name, uid, ...span, containers });
const group = "/apis/metrics.k8s.io/v1beta1";
const tables = { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" };

// The forms of metrics-server v0.8.0: pkg/api/{node,pod,table}.go and pkg/storage/{node,pod}.go.
test("nodes and pods have the usage that their nodes report", async () => {
  const answers: Answers = {};
  const { ask, uids } = await serverWith(answers);
  answers["n1"] = {
    node: { ...span, cpu: 250_000_000, memory: 3 * 2 ** 20 + 1 },
    pods: ["a", "b"].map((name) => podOf(name, uids[name])),
  };
  const nodes = (await ask("GET", `${group}/nodes`)).json;
  expect(nodes).toMatchObject({ kind: "NodeMetricsList", apiVersion: "metrics.k8s.io/v1beta1", metadata: {} });
  // n2 does not answer and is left out.
  expect(nodes.items).toMatchObject([
    {
      metadata: { name: "n1", labels: { disk: "n1" } },
      ...{ timestamp: "2026-11-30T10:00:00Z", window: "15s", usage: { cpu: "250m", memory: "3145729" } },
    },
  ]);
  const pods = (await ask("GET", `${group}/pods`)).json;
  expect(pods.items.map(({ metadata }: { metadata: { name: string } }) => metadata.name)).toEqual(["a", "b"]);
  expect(pods.items[0].containers).toEqual([{ name: "main", usage: { cpu: "1234567n", memory: "1Mi" } }]);
  const one = await ask("GET", "/apis/metrics.k8s.io/v1/namespaces/default/pods/b");
  expect([one.json.kind, one.json.apiVersion]).toEqual(["PodMetrics", "metrics.k8s.io/v1"]);
  expect(one.json.metadata).toMatchObject({ name: "b", namespace: "default", labels: { app: "b" } });
  const table = (await ask("GET", `${group}/nodes`, undefined, tables)).json;
  expect(table.columnDefinitions.map(({ name }: { name: string }) => name)).toEqual([
    "Name",
    "cpu",
    "memory",
    "Window",
  ]);
  expect(table.rows[0].cells).toEqual(["n1", "250m", "3145729", "15s"]);
});

test("labels and fields select among them", async () => {
  const answers: Answers = {};
  const { ask, uids } = await serverWith(answers);
  answers["n1"] = { pods: ["a", "b"].map((name) => podOf(name, uids[name])) };
  const names = async (query: string): Promise<string[]> => {
    const { json } = await ask("GET", `${group}/namespaces/default/pods?${query}`);
    return json.items?.map(({ metadata }: { metadata: { name: string } }) => metadata.name) ?? json.message;
  };
  expect(await names("labelSelector=app%3Da")).toEqual(["a"]);
  expect(await names("fieldSelector=metadata.name%3Db")).toEqual(["b"]);
  expect(await names("fieldSelector=spec.x%3Db")).toContain("not a known field selector");
});

test("nothing else is found, written or watched", async () => {
  const answers: Answers = {};
  const { ask, uids } = await serverWith(answers);
  answers["n1"] = { pods: [podOf("a", uids["a"])] };
  for (const [path, name] of [
    ["nodes/n1", "n1"],
    ["nodes/none", "none"],
    ["namespaces/default/pods/b", "default/b"],
  ]) {
    const { status, json } = await ask("GET", `${group}/${path}`);
    const resource = path!.startsWith("nodes") ? "nodes" : "pods";
    expect([status, json.message]).toEqual([404, `${resource}.metrics.k8s.io "${name}" not found`]);
  }
  expect((await ask("POST", `${group}/nodes`, { metadata: { name: "n1" } })).status).toBe(405);
  expect((await ask("DELETE", `${group}/nodes/n1`)).status).toBe(405);
  expect((await ask("GET", `${group}/nodes?watch=true`)).status).toBe(405);
});

test("a node that answers with anything else, or about pods of another node, is left out", async () => {
  const answers: Answers = {};
  const { ask, uids } = await serverWith(answers);
  const foreign = [podOf("c", uids["c"]), podOf("a", "another"), podOf("b", uids["b"])];
  answers["n1"] = { pods: foreign };
  answers["n2"] = "no JSON";
  const list = async () =>
    (await ask("GET", `${group}/pods`)).json.items.map((one: { metadata: { name: string } }) => one.metadata.name);
  expect(await list()).toEqual(["b"]);
  for (const wrong of [
    { pods: [{ ...podOf("b", uids["b"]), window: "x" }] },
    { pods: 1 },
    [],
    { pods: [], node: { cpu: -1 } },
  ]) {
    answers["n1"] = wrong;
    expect(await list()).toEqual([]);
  }
});

test("a server without connections to nodes says so", async () => {
  const { ask } = await serverWith(undefined);
  const { status, json } = await ask("GET", `${group}/nodes`);
  expect([status, json.message]).toEqual([
    503,
    "the metrics of nodes and pods need a server with connections to the nodes",
  ]);
  // As API Gateway's: links that refuse.
  const refusing = await serverWith({ n1: new ApiError(501, "NotImplemented", "not here") });
  const refused = await refusing.ask("GET", `${group}/pods`);
  expect([refused.status, refused.json.message]).toEqual([501, "not here"]);
});

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { leases, type Node, nodes, type Pod, pods } from "#api";
import { isReason } from "#base";
import { type HttpClient, httpClient } from "#client";
import { findKubectls, kubectl, type Outcome } from "../kubectl/runner.ts";
import { type Agent, type Instance, instance, startAgent, whoseInstance } from "./agents.ts";
import { builtOnce } from "./built-once.ts";
import { ann, tokenFor, whoIs, writeKubeconfig } from "./principals.ts";
import { openStage, type Stage } from "./stage.ts";

/*
 * Real agents against the bundles: the deployed agent with simulated containers, as instances with the node's role.
 * They sign every request, receive hints by the WebSocket API, and send logs to CloudWatch.
 */

const instances = ["i-0aaaaaaaaaaaaaaa1", "i-0aaaaaaaaaaaaaaa2", "i-0aaaaaaaaaaaaaaa3"].map(instance);
const [first, second, third] = instances as [Instance, Instance, Instance];
const namespace = "default";
const polling = { timeout: 60_000, interval: 250 };

let stage: Stage;
let client: HttpClient;
let folder: string;
let kubeconfig: string;
const agents = new Map<string, Agent>();
const lines: string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "skiff-agents-"));
  const built = builtOnce();
  const whose = whoseInstance(built, instances);
  stage = await openStage({
    built,
    whoIs: (key) => whoIs(key) ?? whose(key),
    output: (name, line) => lines.push(`${name} ${line}`),
  });
  await stage.deploy();
  client = httpClient({ server: stage.url, ca: stage.ca, token: await tokenFor(ann, stage.clusterId) });
  kubeconfig = await writeKubeconfig({
    ...{ folder, server: stage.url, ca: stage.ca, clusterId: stage.clusterId, person: ann },
  });
  for (const own of instances) {
    const labels = { pool: own === third ? "doomed" : "good" };
    const output = (line: string) => lines.push(`${own.id} ${line}`);
    agents.set(own.id, startAgent({ stage, built, instance: own, folder: join(folder, own.id), labels, output }));
  }
}, 120_000);

afterAll(async () => {
  client?.close();
  await Promise.all([...agents.values()].map((agent) => agent.stop()));
  await stage?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const said = () => lines.slice(-30).join("\n");
const nodeNamed = (name: string): Promise<Node | undefined> =>
  client.get(nodes, { name }).catch((error: unknown) => {
    if (isReason(error, "NotFound")) return undefined;
    throw error;
  });
const readyOf = async (name: string) =>
  (await nodeNamed(name))?.status?.conditions?.find(({ type }) => type === "Ready")?.status;
const run = (words: string, cut?: number): Promise<Outcome> =>
  kubectl(
    { kubectl: findKubectls().at(-1)!, kubeconfig, namespace, home: folder, editor: "/bin/true" },
    { run: words, ...(cut === undefined ? {} : { cut }) },
  );
const podsOf = async (app: string): Promise<Pod[]> =>
  (await client.list(pods, { namespace })).items.filter(({ metadata }) => metadata.labels?.["app"] === app);
const place = async (name: string, script: string, more: object = {}): Promise<void> => {
  const containers = [{ name: "main", image: "busybox", command: ["sh", "-c", script] }];
  const spec = { nodeSelector: { pool: "good" }, containers, ...more };
  await client.create(pods, { metadata: { namespace, name }, spec } as Pod);
};

describe("agents", () => {
  test("register by signed requests, get their own pod addresses, and stay ready by heartbeats", async () => {
    for (const { id } of instances) await expect.poll(() => readyOf(id), { ...polling, message: said() }).toBe("True");
    const blocks = await Promise.all(instances.map(async ({ id }) => (await nodeNamed(id))?.spec?.podCIDR));
    expect(new Set(blocks).size).toBe(3);
    for (const block of blocks) expect(block).toMatch(/^10\.244\.\d+\.0\/24$/);
    expect((await client.list(leases, { namespace: "kube-node-lease" })).items).toEqual([]);
    // The last test checks what happens to it.
    await agents.get(third.id)!.kill();
  });

  test("run a Deployment, by hints", async () => {
    const containers = [{ name: "nginx", image: "nginx" }];
    const template = { metadata: { labels: { app: "web" } }, spec: { nodeSelector: { pool: "good" }, containers } };
    const spec = { replicas: 4, selector: { matchLabels: { app: "web" } }, template };
    const deployment = { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "web", namespace }, spec };
    const path = join(folder, "web.json");
    writeFileSync(path, JSON.stringify(deployment));
    const before = stage.pushed;
    expect(await run(`apply -f ${path}`)).toMatchObject({ code: 0 });
    const rolled = await run("rollout status deployment/web --timeout=60s");
    expect(rolled, said()).toMatchObject({ code: 0, out: expect.stringContaining("successfully rolled out") });
    expect(stage.pushed).toBeGreaterThan(before);
    const there = await podsOf("web");
    expect(new Set(there.map(({ spec: { nodeName } = {} }) => nodeName))).toEqual(new Set([first.id, second.id]));
    for (const { spec: { nodeName } = {}, status } of there) {
      const block = (await nodeNamed(nodeName!))?.spec?.podCIDR?.replace(/0\/24$/, "");
      expect(status?.podIP?.startsWith(block!)).toBe(true);
    }
  });

  test("send containers' output to where kubectl logs reads it", async () => {
    await place("counter", "for i in $(seq 1 250); do echo line $i; done; echo; echo begun; sleep 12; echo over", {
      restartPolicy: "Never",
    });
    const read = async (flags: string) => (await run(`logs counter ${flags}`)).out;
    await expect.poll(() => read(""), { ...polling, message: said() }).toContain("begun");
    const following = run("logs counter -f --tail=2", 60_000);
    const all = await read("");
    expect(all.split("\n").slice(0, 3)).toEqual(["line 1", "line 2", "line 3"]);
    expect(all).toMatch(/^line 250\n\nbegun\n/m);
    // It may have ended by now.
    expect(await read("--tail=150")).toMatch(/^line 10[34]\n/);
    expect(await read("--limit-bytes=10")).toBe("line 1\nlin");
    expect(await read("--timestamps --tail=1")).toMatch(/^\d{4}-\d\d-\d\dT[\d:]+\.\d{9}Z \w+\n$/);
    expect(await read("--since=1h --tail=2")).toContain("begun");
    expect(await following).toMatchObject({ code: 0, out: expect.stringMatching(/^\n?begun\nover\n$/) });
    expect(await read("--tail=1")).toBe("over\n");
    const uid = (await client.get(pods, { namespace, name: "counter" })).metadata.uid;
    expect([...stage.logs.streams.keys()]).toContain(`${namespace}/counter/${uid}/main/0`);
  });

  test("keep the logs of runs apart", async () => {
    await place("crashing", "echo this is $(date +%s); sleep 1; exit 1");
    const restarts = async () =>
      (await client.get(pods, { namespace, name: "crashing" })).status?.containerStatuses?.[0]?.restartCount ?? 0;
    await expect.poll(restarts, { ...polling, message: said() }).toBeGreaterThan(0);
    await expect.poll(async () => (await run("logs crashing")).out, polling).toMatch(/^this is .*\n$/);
    await expect.poll(async () => (await run("logs crashing --previous")).out, polling).toMatch(/^this is .*\n$/);
    expect(await run("logs counter --previous")).toMatchObject({
      code: 1,
      err: expect.stringContaining('previous terminated container "main" in pod "counter" not found'),
    });
  });

  test("carry no streams, and fail with the reason", async () => {
    expect(await run("exec crashing -- true")).toMatchObject({ code: 1 });
    const { code, err } = await run(
      `get --raw ${new URL(stage.url).pathname}/api/v1/namespaces/${namespace}/pods/crashing/exec?command=true`,
    );
    expect(code).toBe(1);
    expect(err).toContain("running a command in a container is not possible through API Gateway");
  });
});

describe("an instance that is terminated", () => {
  test("deletes its node at once, and its pods move", async () => {
    await agents.get(second.id)!.kill();
    await stage.event({
      version: "0",
      source: "aws.ec2",
      "detail-type": "EC2 Instance State-change Notification",
      detail: { "instance-id": second.id, state: "terminated" },
    });
    expect(await nodeNamed(second.id)).toBeUndefined();
    const homes = async () => (await podsOf("web")).map(({ spec }) => spec?.nodeName);
    // Each process of the controller waits for the node's return for itself.
    await expect.poll(homes, { timeout: 170_000, interval: 500, message: said() }).toEqual(Array(4).fill(first.id));
    expect(await run("rollout status deployment/web --timeout=60s")).toMatchObject({ code: 0 });
  }, 240_000);
});

describe("an agent that dies", () => {
  test("taints an unknown node whose heartbeats were missed", async () => {
    const known = async () => {
      await stage.tick();
      return readyOf(third.id);
    };
    await expect.poll(known, { timeout: 110_000, interval: 2000, message: said() }).toBe("Unknown");
    expect(await readyOf(first.id)).toBe("True");
    const { spec } = (await nodeNamed(third.id))!;
    expect(spec?.taints?.map(({ key }) => key)).toContain("node.kubernetes.io/unreachable");
  });
});

import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  serviceAccount as accounts,
  configMap as configMaps,
  pod as pods,
  secret as secrets,
  type TokenRequest,
} from "#api";
import { issue } from "#auth/certificates";
import { type HttpClient, httpClient } from "#client";
import { findKubectls, kubectl, type Outcome } from "../kubectl/runner.ts";
import { builtOnce } from "./built-once.ts";
import { type GatewayProcess, gatewayInstance, startGateway } from "./gateway.ts";
import { ann, stranger, tokenFor, whoIs, writeKubeconfig } from "./people.ts";
import { type Built, openStage, type Stage } from "./stage.ts";

/* The gateway's bundle as a process over the same tables as the functions' bundles, with kubectl before it. */

let built: Built;
let stage: Stage;
let gateway: GatewayProcess;
/** One that asks the functions, and one that asks the gateway. */
let functions: HttpClient;
let client: HttpClient;
let ca: string;
let folder: string;
let kubeconfig: string;
const calls: string[] = [];
const namespace = "default";
const patience = { timeout: 30_000, interval: 100 };

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "skiff-gateway-"));
  built = builtOnce();
  stage = await openStage({
    built,
    whoIs,
    fault: ({ instance, target }) => {
      if (instance === gatewayInstance) calls.push(target);
      return undefined;
    },
  });
  await stage.deploy();
  const token = await tokenFor(ann, stage.clusterId);
  functions = httpClient({ server: stage.url, ca: stage.ca, token });
  gateway = await startGateway(stage, built);
  // As people find it: through API Gateway, whose certificate they can check already.
  const { data } = await functions.get(configMaps, { namespace: "kube-public", name: "skiff-gateway" });
  expect(data?.["server"]).toBe(gateway.url);
  ca = data!["ca.crt"]!;
  client = httpClient({ server: gateway.url, ca, token });
  kubeconfig = await writeKubeconfig({ folder, server: gateway.url, ca, clusterId: stage.clusterId, person: ann });
});
afterAll(async () => {
  functions?.close();
  client?.close();
  await gateway?.stop();
  await stage?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const run = (words: string, cut?: number): Promise<Outcome> =>
  kubectl(
    { kubectl: findKubectls().at(-1)!, kubeconfig, namespace, home: folder, editor: "/bin/true" },
    { run: words, ...(cut === undefined ? {} : { cut }) },
  );

/** What a watch of one object has told so far; it is not ended by us before its signal. */
function watchNamed(name: string) {
  const seen: string[] = [];
  const stop = new AbortController();
  const state = { ended: false };
  const fields = [{ field: "metadata.name", equal: true, value: name }];
  const reading = (async () => {
    for await (const event of client.watch(configMaps, { namespace, fields, signal: stop.signal })) {
      if (event.type !== "BOOKMARK") seen.push(event.object.data?.["step"] ?? "");
    }
  })();
  void reading
    .catch(() => {})
    .finally(() => {
      state.ended = true;
    });
  return { seen, state, stop: () => stop.abort() };
}

describe("the gateway", () => {
  test("holds a watch of one object for longer than a function does, whoever writes", async () => {
    const name = "watched";
    await client.create(configMaps, { metadata: { namespace, name }, data: { step: "born" } });
    const { seen, state, stop } = watchNamed(name);
    const began = Date.now();
    await expect.poll(() => seen, patience).toEqual(["born"]);
    await functions.patch(configMaps, { namespace, name }, { data: { step: "by a function" } }, { type: "merge" });
    await expect.poll(() => seen, patience).toEqual(["born", "by a function"]);
    await client.patch(configMaps, { namespace, name }, { data: { step: "by the gateway" } }, { type: "merge" });
    await expect.poll(() => seen.at(-1), patience).toBe("by the gateway");
    // A function ends such a watch after a minute.
    await new Promise((done) => setTimeout(done, Math.max(0, began + 65_000 - Date.now())));
    expect(state.ended).toBe(false);
    await functions.patch(configMaps, { namespace, name }, { data: { step: "late" } }, { type: "merge" });
    await expect.poll(() => seen.at(-1), patience).toBe("late");
    stop();
  });

  test("wakes the functions: at once by the queue, and they see what it has written", async () => {
    const watching = run("get replicasets -w -o name", 15_000);
    calls.length = 0;
    expect(await run("create deployment web --image=nginx --replicas=2")).toMatchObject({ code: 0 });
    expect(calls.filter((target) => target.startsWith("AmazonSQS."))).not.toEqual([]);
    const sets = async () => (await run("get pods -l app=web -o name")).out.trim().split("\n");
    await expect.poll(sets, patience).toHaveLength(2);
    expect((await watching).out).toContain("replicaset.apps/web-");
    expect(await run("delete deployment web --wait=true")).toMatchObject({ code: 0 });
  });

  test("says why a stream to a node is not to be had", async () => {
    const spec = { nodeName: "elsewhere", containers: [{ name: "main", image: "nginx" }] };
    await client.create(pods, { metadata: { namespace, name: "one" }, spec });
    const { code, err } = await run("exec one -- true");
    expect(code).toBe(1);
    expect(err).toContain("running a command in a container is not possible here: the node's agent has not dialled in");
  });
});

describe("who comes in", () => {
  const status = async (token: string | undefined, more: object = {}) => {
    const asking = httpClient({ server: gateway.url, ca, ...(token === undefined ? {} : { token }), ...more });
    try {
      await asking.list(configMaps, { namespace });
      return 200;
    } catch (error) {
      return (error as { code?: number }).code;
    } finally {
      asking.close();
    }
  };

  test("principals with a token for this cluster, and nobody with another", async () => {
    expect(await status(await tokenFor(ann, stage.clusterId))).toBe(200);
    const wrong = {
      nobody: undefined,
      nonsense: "k8s-aws-v1.AAAA",
      stranger: await tokenFor(stranger, stage.clusterId),
      "another cluster": await tokenFor(ann, "123456789012/eu-west-1/other"),
      old: await tokenFor(ann, stage.clusterId, new Date(Date.now() - 15 * 60_000)),
    };
    for (const [name, token] of Object.entries(wrong)) expect([name, await status(token)]).toEqual([name, 401]);
  });

  test("service accounts with tokens that functions have made, and the other way round", async () => {
    const account = { namespace, name: "robot" };
    await client.create(accounts, { metadata: account });
    const question = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", metadata: {}, spec: {} };
    for (const [by, at] of [
      [functions, gateway.url],
      [client, stage.url],
    ] as const) {
      const { status: made } = (await by.act(accounts, account, "token", question as never)) as TokenRequest;
      const robot = httpClient({ server: at, ca: at === stage.url ? stage.ca : ca, token: made!.token });
      await expect(robot.list(accounts, { namespace })).rejects.toMatchObject({
        message: expect.stringContaining('User "system:serviceaccount:default:robot" cannot list'),
      });
      // What checks the gateway, everybody may have.
      const { data } = await robot.get(configMaps, { namespace: "kube-public", name: "skiff-gateway" });
      expect(data?.["ca.crt"]).toBe(ca);
      robot.close();
    }
  });

  test("nobody by a certificate, even of the gateway's own authority", async () => {
    const kept = await client.get(secrets, { namespace: "kube-system", name: "skiff-gateway" });
    const key = Buffer.from(kept.data?.["tls.key"] ?? "", "base64").toString();
    expect(key).toContain("PRIVATE KEY");
    const subject = { commonName: "mallory", organizations: ["system:masters"] };
    const certificate = await issue({ authority: { cert: ca, key }, subject, days: 1, now: Date.now() });
    expect(await status(undefined, { certificate })).toBe(401);
  });
});

test("another gateway has the same authority, ends when it is told to, and ends its watches", async () => {
  const { resident, seconds } = gateway;
  const { size } = statSync(join(built.gateway, "gateway.mjs"));
  console.log(JSON.stringify({ seconds, resident: Math.round(resident()), bytes: size }));
  const second = await startGateway(stage, built);
  const { data } = await functions.get(configMaps, { namespace: "kube-public", name: "skiff-gateway" });
  expect(data).toEqual({ server: second.url, "ca.crt": ca });
  const other = httpClient({ server: second.url, ca, token: await tokenFor(ann, stage.clusterId) });
  const watching = (async () => {
    for await (const _ of other.watch(configMaps, { namespace, signal: new AbortController().signal }));
  })();
  watching.catch(() => {});
  await other.list(configMaps, { namespace });
  expect(await second.stop()).toBe(0);
  await Promise.allSettled([watching]);
  other.close();
  const all = [...gateway.lines, ...second.lines].join("\n");
  expect(all).not.toContain("k8s-aws-v1.");
  expect(all).not.toContain("PRIVATE KEY");
  expect(all).toContain('"verb":"list"');
});

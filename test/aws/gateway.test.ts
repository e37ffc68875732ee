import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { configMaps, nodes, type Pod, pods, secrets, serviceAccounts, type TokenRequest } from "#api";
import { issue } from "#auth/certificates";
import { type HttpClient, httpClient } from "#client";
import { findKubectls, kubectl, type Outcome } from "../kubectl/runner.ts";
import { type Agent, instance, startAgent, whoseInstance } from "./agents.ts";
import { builtOnce } from "./built-once.ts";
import { type GatewayProcess, gatewayInstance, startGateway } from "./gateway.ts";
import { ann, stranger, tokenFor, whoIs, writeKubeconfig } from "./principals.ts";
import { type Built, openStage, type Stage } from "./stage.ts";

/*
 * The gateway's bundle as a process over the same tables as the functions' bundles, with kubectl as its client and an
 * agent that has been running before.
 */

const [own, other] = [instance("i-0ddddddddddddddd1"), instance("i-0ddddddddddddddd2")];

let built: Built;
let stage: Stage;
let gateway: GatewayProcess;
/** A client of the functions, and one of the gateway. */
let functions: HttpClient;
let client: HttpClient;
let ca: string;
let folder: string;
let kubeconfig: string;
let agent: Agent;
const lines: string[] = [];
const calls: string[] = [];
const namespace = "default";
const polling = { timeout: 30_000, interval: 100 };

const start = (): Agent =>
  startAgent({
    ...{ stage, built, instance: own, folder: join(folder, own.id), gateway: true },
    output: (line) => lines.push(line),
  });
const said = () => lines.slice(-20).join("\n");
/** Waits until a condition is true; also outside of tests. */
async function until(what: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 60_000; !(await what().catch(() => false)); ) {
    if (Date.now() > end) throw new Error(`it did not come: ${said()}`);
    await new Promise((done) => setTimeout(done, polling.interval));
  }
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "skiff-gateway-"));
  built = builtOnce();
  const whose = whoseInstance(built, [own, other]);
  stage = await openStage({
    built,
    whoIs: (key) => whoIs(key) ?? whose(key),
    fault: ({ instance, target }) => {
      if (instance === gatewayInstance) calls.push(target);
      return undefined;
    },
  });
  await stage.deploy();
  const token = await tokenFor(ann, stage.clusterId);
  functions = httpClient({ server: stage.url, ca: stage.ca, token });
  agent = start();
  await until(async () => {
    const { status } = await functions.get(nodes, { name: own.id });
    return status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") === true;
  });
  gateway = await startGateway(stage, built);
  // As documented for users: through API Gateway, whose certificate they can verify already.
  const { data } = await functions.get(configMaps, { namespace: "kube-public", name: "skiff-gateway" });
  expect(data?.["server"]).toBe(gateway.url);
  ca = data!["ca.crt"]!;
  client = httpClient({ server: gateway.url, ca, token });
  kubeconfig = await writeKubeconfig({ folder, server: gateway.url, ca, clusterId: stage.clusterId, person: ann });
});
afterAll(async () => {
  functions?.close();
  client?.close();
  await agent?.stop();
  await gateway?.stop();
  await stage?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const run = (words: string, cut?: number, { stdin = "", by = kubeconfig } = {}): Promise<Outcome> =>
  kubectl(
    { kubectl: findKubectls().at(-1)!, kubeconfig: by, namespace, home: folder, editor: "/bin/true" },
    { run: words, stdin, ...(cut === undefined ? {} : { cut }) },
  );

/** A pod on the agent's node, when it runs. */
async function place(name: string, script: string, more: object = {}): Promise<void> {
  const containers = [{ name: "main", image: "busybox", command: ["sh", "-c", script], ...more }];
  await client.create(pods, { metadata: { namespace, name }, spec: { nodeName: own.id, containers } } as Pod);
  await until(async () => (await client.get(pods, { namespace, name })).status?.phase === "Running");
}

/** The events of a watch of one object; it ends by its signal only. */
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
  test("holds a watch of one object for longer than a function can, with writes by functions and by the gateway", async () => {
    const name = "watched";
    await client.create(configMaps, { metadata: { namespace, name }, data: { step: "born" } });
    const { seen, state, stop } = watchNamed(name);
    const began = Date.now();
    await expect.poll(() => seen, polling).toEqual(["born"]);
    await functions.patch(configMaps, { namespace, name }, { data: { step: "by a function" } }, { type: "merge" });
    await expect.poll(() => seen, polling).toEqual(["born", "by a function"]);
    await client.patch(configMaps, { namespace, name }, { data: { step: "by the gateway" } }, { type: "merge" });
    await expect.poll(() => seen.at(-1), polling).toBe("by the gateway");
    // A function ends such a watch after a minute.
    await new Promise((done) => setTimeout(done, Math.max(0, began + 65_000 - Date.now())));
    expect(state.ended).toBe(false);
    await functions.patch(configMaps, { namespace, name }, { data: { step: "late" } }, { type: "merge" });
    await expect.poll(() => seen.at(-1), polling).toBe("late");
    stop();
  });

  test("wakes the functions: at once by the queue, and they read its writes", async () => {
    const watching = run("get replicasets -w -o name", 15_000);
    calls.length = 0;
    expect(await run("create deployment web --image=nginx --replicas=2")).toMatchObject({ code: 0 });
    expect(calls.filter((target) => target.startsWith("AmazonSQS."))).not.toEqual([]);
    const sets = async () => (await run("get pods -l app=web -o name")).out.trim().split("\n");
    await expect.poll(sets, polling).toHaveLength(2);
    expect((await watching).out).toContain("replicaset.apps/web-");
    expect(await run("delete deployment web --wait=true")).toMatchObject({ code: 0 });
  });

  test("reports why a stream to a node is not possible", async () => {
    const spec = { nodeName: "elsewhere", containers: [{ name: "main", image: "nginx" }] };
    await client.create(pods, { metadata: { namespace, name: "one" }, spec });
    const { code, err } = await run("exec one -- true");
    expect(code).toBe(1);
    expect(err).toContain("running a command in a container is not possible here: the node's agent is not connected");
  });
});

describe("authentication", () => {
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

  test("admits principals with a token for this cluster, and none with another", async () => {
    expect(await status(await tokenFor(ann, stage.clusterId))).toBe(200);
    const wrong = {
      "no token": undefined,
      nonsense: "k8s-aws-v1.AAAA",
      stranger: await tokenFor(stranger, stage.clusterId),
      "another cluster": await tokenFor(ann, "123456789012/eu-west-1/other"),
      old: await tokenFor(ann, stage.clusterId, new Date(Date.now() - 15 * 60_000)),
    };
    for (const [name, token] of Object.entries(wrong)) expect([name, await status(token)]).toEqual([name, 401]);
  });

  test("admits service accounts with tokens of functions, and functions admit its tokens", async () => {
    const account = { namespace, name: "robot" };
    await client.create(serviceAccounts, { metadata: account });
    const question = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", metadata: {}, spec: {} };
    for (const [by, at] of [
      [functions, gateway.url],
      [client, stage.url],
    ] as const) {
      const { status: made } = (await by.createSubresource(
        serviceAccounts,
        account,
        "token",
        question as never,
      )) as TokenRequest;
      const robot = httpClient({ server: at, ca: at === stage.url ? stage.ca : ca, token: made!.token });
      await expect(robot.list(serviceAccounts, { namespace })).rejects.toMatchObject({
        message: expect.stringContaining('User "system:serviceaccount:default:robot" cannot list'),
      });
      // The CA of the gateway is public.
      const { data } = await robot.get(configMaps, { namespace: "kube-public", name: "skiff-gateway" });
      expect(data?.["ca.crt"]).toBe(ca);
      robot.close();
    }
  });

  test("admits no client certificate, not even of the gateway's own CA", async () => {
    const kept = await client.get(secrets, { namespace: "kube-system", name: "skiff-authority" });
    const key = Buffer.from(kept.data?.["tls.key"] ?? "", "base64").toString();
    expect(key).toContain("PRIVATE KEY");
    const subject = { commonName: "mallory", organizations: ["system:masters"] };
    const certificate = await issue({ authority: { cert: ca, key }, subject, days: 1, now: Date.now() });
    expect(await status(undefined, { certificate })).toBe(401);
  });
});

describe("an agent that was running before", () => {
  const shell = "shell";

  test("finds it and runs commands, with input and exit codes", async () => {
    await place(shell, "echo begun; nc -l -p 8080");
    const hello = () => run(`exec ${shell} -- echo hello`);
    await expect.poll(hello, { ...polling, message: said() }).toMatchObject({ code: 0, out: "hello\n" });
    const through = { stdin: "through and back\n" };
    expect(await run(`exec -i ${shell} -- cat`, undefined, through)).toMatchObject({ code: 0, out: through.stdin });
    expect(await run(`exec ${shell} -- sh -c 'echo no >&2; exit 3'`)).toMatchObject({
      code: 3,
      err: expect.stringMatching(/^no\ncommand terminated with exit code 3\n/),
    });
    await place("listener", "cat", { stdin: true, stdinOnce: true });
    expect((await run("attach -i listener", undefined, { stdin: "hear me\n" })).out).toContain("hear me\n");
  });

  test("copies files in both directions, and forwards ports", async () => {
    const [from, back] = [join(folder, "from.bin"), join(folder, "back.bin")];
    writeFileSync(from, randomBytes(2 * 1024 * 1024 + 17));
    expect(await run(`cp ${from} ${shell}:/tmp/copied`)).toMatchObject({ code: 0 });
    expect(await run(`cp ${shell}:/tmp/copied ${back}`)).toMatchObject({ code: 0 });
    expect(readFileSync(back).equals(readFileSync(from))).toBe(true);
    const child = spawn(findKubectls().at(-1)!, ["port-forward", shell, ":8080", "-n", namespace], {
      env: { PATH: process.env["PATH"], HOME: folder, KUBECONFIG: kubeconfig },
    });
    let out = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (out += chunk));
    const port = () => Number(/Forwarding from 127\.0\.0\.1:(\d+)/.exec(out)?.[1] ?? 0);
    await expect.poll(port, polling).toBeGreaterThan(0);
    const socket = connect(port(), "127.0.0.1");
    socket.write("ping");
    const [answer] = await once(socket, "data");
    expect(String(answer)).toBe("ping");
    socket.destroy();
    child.kill();
    await once(child, "exit");
  });

  test("sends logs itself: all, a part, followed ones, those of the previous run", async () => {
    calls.length = 0;
    await place("talker", "for i in $(seq 1 5); do echo line $i; done; sleep 8; echo over; exit 1");
    expect((await run("logs talker --tail=2 --since=1h")).out).toBe("line 4\nline 5\n");
    const following = run("logs talker -f", 60_000);
    expect((await run("logs talker --timestamps --tail=1")).out).toMatch(/^\d{4}-\d\d-\d\dT[\d:]+\.\d+Z line 5\n$/);
    expect((await following).out).toMatch(/^line 1\n.*over\n$/s);
    const previous = async () => (await run("logs talker --previous --tail=1")).out;
    await expect.poll(previous, polling).toBe("over\n");
    expect(calls.filter((target) => target.startsWith("Logs_"))).toEqual([]);
    // Logs that it never had are not in the service either.
    expect(await run(`logs ${shell} --previous`)).toMatchObject({
      code: 1,
      err: expect.stringContaining('previous terminated container "main" in pod "shell" not found'),
    });
  });

  test("is reported as missing when it has gone, and found when it is back; meanwhile its logs are in CloudWatch", async () => {
    await agent.kill();
    const refused = async () => (await run(`exec ${shell} -- true`)).err;
    await expect.poll(refused, polling).toContain("the node's agent is not connected");
    calls.length = 0;
    expect((await run(`logs ${shell}`)).out).toBe("begun\n");
    expect(calls).toContain("Logs_20140328.GetLogEvents");
    agent = start();
    await expect.poll(refused, { ...polling, message: said() }).not.toContain("is not connected");
  });

  test("is authenticated: only the node itself connects under its name", async () => {
    const link = async (node: string, token?: string) => {
      const headers = {
        ...{ connection: "upgrade", upgrade: "websocket", "sec-websocket-version": "13" },
        "sec-websocket-key": randomBytes(16).toString("base64"),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      };
      return new Promise<number>((done, reject) => {
        const sent = request(`${gateway.url}/link/${node}`, { headers, ca }, ({ statusCode = 0 }) => done(statusCode));
        sent.on("upgrade", ({ statusCode = 0 }, socket) => {
          socket.destroy();
          done(statusCode);
        });
        sent.on("error", reject);
        sent.end();
      });
    };
    const token = await tokenFor(other, stage.clusterId);
    expect(await link(own.id, token)).toBe(403);
    expect(await link(own.id)).toBe(401);
    expect(await link(own.id, await tokenFor(stranger, stage.clusterId))).toBe(401);
    expect(await link(own.id, await tokenFor(own, "123456789012/eu-west-1/other"))).toBe(401);
    expect(await link(other.id, token)).toBe(101);
    // Nodes read the address to connect to; only the system writes it.
    const place = { namespace: "kube-system", name: "skiff-gateway-link" };
    const node = httpClient({ server: gateway.url, ca, token });
    const { data } = await node.get(secrets, place);
    expect(Buffer.from(data?.["ca.crt"] ?? "", "base64").toString()).toBe(ca);
    await expect(node.patch(secrets, place, { data: {} }, { type: "merge" })).rejects.toMatchObject({ code: 403 });
    await expect(node.get(secrets, { ...place, name: "skiff-authority" })).rejects.toMatchObject({ code: 403 });
    node.close();
  });
});

test("another gateway has the same CA, stops on SIGTERM, and ends its watches", async () => {
  const { resident, seconds } = gateway;
  const { size } = statSync(join(built.gateway, "gateway.mjs"));
  console.log(JSON.stringify({ seconds, resident: Math.round(resident()), bytes: size }));
  const going = spawn(findKubectls().at(-1)!, ["exec", "-i", "shell", "-n", namespace, "--", "cat"], {
    env: { PATH: process.env["PATH"], HOME: folder, KUBECONFIG: kubeconfig },
  });
  const second = await startGateway(stage, built);
  const { data } = await functions.get(configMaps, { namespace: "kube-public", name: "skiff-gateway" });
  expect(data).toEqual({ server: second.url, "ca.crt": ca });
  const fresh = httpClient({ server: second.url, ca, token: await tokenFor(ann, stage.clusterId) });
  const watching = (async () => {
    for await (const _ of fresh.watch(configMaps, { namespace, signal: new AbortController().signal }));
  })();
  watching.catch(() => {});
  await fresh.list(configMaps, { namespace });
  // The agent connects to it, and keeps the link to the first for its open streams.
  const by = await writeKubeconfig({
    ...{ folder: join(folder, "second"), server: second.url, ca, clusterId: stage.clusterId, person: ann },
  });
  const bySecond = () => run("exec shell -- echo second", undefined, { by });
  await expect.poll(bySecond, { ...polling, message: said() }).toMatchObject({ code: 0, out: "second\n" });
  expect(await run("exec -i shell -- cat", undefined, { stdin: "still first\n" })).toMatchObject({
    out: "still first\n",
  });
  going.stdin.end("to the end\n");
  expect(await text(going.stdout)).toBe("to the end\n");
  expect(await gateway.stop()).toBe(0);
  expect(await bySecond()).toMatchObject({ code: 0, out: "second\n" });
  expect(await second.stop()).toBe(0);
  await Promise.allSettled([watching]);
  fresh.close();
  const all = [...gateway.lines, ...second.lines].join("\n");
  expect(all).not.toContain("k8s-aws-v1.");
  expect(all).not.toContain("PRIVATE KEY");
  expect(all).toContain('"verb":"list"');
});

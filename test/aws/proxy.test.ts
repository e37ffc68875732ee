import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { accessEntries, nodes, type Pod, pods, roleBindings, roles } from "#api";
import { isReason } from "#base";
import { type HttpClient, httpClient } from "#client";
import { findKubectls, kubectl, type Outcome } from "../kubectl/runner.ts";
import { type Agent, instance, startAgent, whoseInstance } from "./agents.ts";
import { builtOnce } from "./built-once.ts";
import { ann, bob, type Person, stranger, tokenFor, whoIs } from "./principals.ts";
import { type Built, openStage, type Stage } from "./stage.ts";

/*
 * kubectl through `skiff proxy` at a cluster in AWS: the real command, bundled functions, the deployed agent with
 * simulated containers. Frames arrive late, twice or not at all.
 */

const own = instance("i-0bbbbbbbbbbbbbbb1");
const namespace = "default";
const polling = { timeout: 60_000, interval: 250 };
const isFrame = /"frame":/;

let built: Built;
let stage: Stage;
let client: HttpClient;
let folder: string;
let agent: Agent;
let isStormy = false;
const lines: string[] = [];
const proxies = new Map<Person, Running>();

interface Running {
  child: ChildProcess;
  kubeconfig: string;
}

/** One frame in twenty is lost, one in twenty is duplicated, and all are delayed. */
const storm = (text: string): number[] => {
  if (!isStormy || !isFrame.test(text)) return [0];
  const chance = Math.random();
  const late = () => Math.random() * 60;
  if (chance < 0.05) return [];
  return chance < 0.1 ? [late(), late() * 5] : [late()];
};

/** Waits until a condition is true; also outside of tests. */
async function until(what: () => unknown): Promise<void> {
  for (const end = Date.now() + polling.timeout; !(await what()); ) {
    if (Date.now() > end) throw new Error(`it did not come: ${lines.slice(-40).join("\n")}`);
    await new Promise((done) => setTimeout(done, polling.interval));
  }
}

/** Starts the command as a person types it. */
async function startProxy(person: Person, name: string): Promise<Running> {
  const kubeconfig = join(folder, `${name}.kubeconfig`);
  const outputs = join(folder, "outputs.json");
  const ca = join(folder, "ca.crt");
  writeFileSync(ca, stage.ca);
  const deployed = { Endpoint: stage.url, Dial: stage.dial, ClusterId: stage.clusterId };
  writeFileSync(outputs, JSON.stringify({ "skiff-test": deployed, "skiff-other": { Alarms: "none" } }));
  const child = spawn(
    process.execPath,
    [resolve("lib/cli/skiff.ts"), "proxy", "--outputs", outputs, "--port", "0", "--kubeconfig", kubeconfig, "--ca", ca],
    {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: process.env["PATH"],
        HOME: folder,
        AWS_ACCESS_KEY_ID: person.accessKeyId,
        AWS_SECRET_ACCESS_KEY: person.secretAccessKey,
      },
    },
  );
  for (const stream of [child.stdout!, child.stderr!])
    stream.on("data", (chunk) => lines.push(`proxy of ${name}: ${chunk}`));
  await until(() => existsSync(kubeconfig));
  const running = { child, kubeconfig };
  proxies.set(person, running);
  return running;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "skiff-proxy-"));
  built = builtOnce();
  const whose = whoseInstance(built, [own]);
  stage = await openStage({
    built,
    whoIs: (key) => whoIs(key) ?? whose(key),
    output: (name, line) => lines.push(`${name} ${line}`),
    socketWeather: (_, message) => storm(message),
    most: 4,
  });
  await stage.deploy();
  client = httpClient({ server: stage.url, ca: stage.ca, token: await tokenFor(ann, stage.clusterId) });
  agent = start();
  await Promise.all([startProxy(ann, "ann"), startProxy(bob, "bob"), startProxy(stranger, "stranger"), ready()]);
  await client.create(accessEntries, {
    metadata: { name: "bob" },
    spec: { principalArn: "arn:aws:iam::123456789012:role/Developer", username: "bob", groups: [] },
  });
  const rules = [{ apiGroups: [""], resources: ["pods", "pods/log"], verbs: ["get", "list", "watch"] }];
  await client.create(roles, { metadata: { namespace, name: "reader" }, rules });
  await client.create(roleBindings, {
    metadata: { namespace, name: "bob" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "reader" },
    subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "bob" }],
  });
  await place("talker", "echo begun; nc -l -p 8080");
}, 180_000);

afterAll(async () => {
  client?.close();
  for (const { child } of proxies.values()) child.kill("SIGTERM");
  await agent?.stop();
  await stage?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const start = (): Agent =>
  startAgent({
    ...{ stage, built, instance: own, folder: join(folder, own.id) },
    output: (line) => lines.push(`${own.id} ${line}`),
  });
const said = () => lines.slice(-40).join("\n");

async function ready(): Promise<void> {
  const state = async () => {
    const found = await client.get(nodes, { name: own.id }).catch((error: unknown) => {
      if (isReason(error, "NotFound")) return undefined;
      throw error;
    });
    return found?.status?.conditions?.find(({ type }) => type === "Ready")?.status;
  };
  await until(async () => (await state()) === "True");
}

async function place(name: string, script: string, more: object = {}): Promise<void> {
  const containers = [{ name: "main", image: "busybox", command: ["sh", "-c", script], ...more }];
  await client.create(pods, { metadata: { namespace, name }, spec: { containers } } as Pod);
  await until(async () => (await client.get(pods, { namespace, name })).status?.phase === "Running");
}

const run = (words: string, { as = ann, stdin = "", cut = 0 } = {}): Promise<Outcome> =>
  kubectl(
    {
      ...{ kubectl: findKubectls().at(-1)!, namespace, home: folder, editor: "/bin/true" },
      kubeconfig: proxies.get(as)!.kubeconfig,
    },
    { run: words, stdin, ...(cut > 0 ? { cut } : {}) },
  );

/** A request to the proxy, as any process of the machine can send it. */
const ask = (person: Person, path: string, headers: Record<string, string>) =>
  new Promise<{ status: number; body: string }>((done, reject) => {
    const { clusters } = JSON.parse(readFileSync(proxies.get(person)!.kubeconfig, "utf8"));
    const { server, "certificate-authority-data": ca } = clusters[0].cluster;
    const sent = request(`${server}${path}`, { headers, ca: Buffer.from(ca, "base64") }, (answer) => {
      text(answer).then((body) => done({ status: answer.statusCode ?? 0, body }), reject);
    });
    sent.on("upgrade", (_, socket) => {
      socket.destroy();
      done({ status: 101, body: "" });
    });
    sent.on("error", reject);
    sent.end();
  });

describe.each([
  ["fair", false],
  ["foul", true],
] as const)("with %s delivery", (_name, stormy) => {
  beforeAll(() => {
    isStormy = stormy;
  });

  test("exec returns output, accepts input, and reports the exit code", async () => {
    expect(await run("exec talker -- echo hello"), said()).toMatchObject({ code: 0, out: "hello\n" });
    expect(await run("exec -i talker -- cat", { stdin: "through and back\n" })).toMatchObject({
      code: 0,
      out: "through and back\n",
    });
    expect(await run("exec talker -- sh -c 'echo no >&2; exit 3'")).toMatchObject({
      code: 3,
      err: expect.stringMatching(/^no\ncommand terminated with exit code 3\n/),
    });
  });

  test("attach joins a running container", async () => {
    const name = stormy ? "listener-2" : "listener-1";
    await place(name, "cat", { stdin: true, stdinOnce: true });
    expect(await run(`attach -i ${name}`, { stdin: "hear me\n" }), said()).toMatchObject({
      code: 0,
      out: expect.stringContaining("hear me\n"),
    });
  });

  test("cp copies a file in both directions unchanged", async () => {
    const [from, back] = [join(folder, "from.bin"), join(folder, "back.bin")];
    const bytes = randomBytes(3 * 1024 * 1024 + 17);
    writeFileSync(from, bytes);
    expect(await run(`cp ${from} talker:/tmp/copied`), said()).toMatchObject({ code: 0 });
    expect(await run(`cp talker:/tmp/copied ${back}`), said()).toMatchObject({ code: 0 });
    expect(readFileSync(back).equals(bytes)).toBe(true);
  });

  test("port-forward passes connections on, several at once", async () => {
    const child = spawn(findKubectls().at(-1)!, ["port-forward", "talker", ":8080", "-n", namespace], {
      env: { PATH: process.env["PATH"], HOME: folder, KUBECONFIG: proxies.get(ann)!.kubeconfig },
    });
    let out = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk) => {
        out += chunk;
      });
    const port = () => Number(/Forwarding from 127\.0\.0\.1:(\d+)/.exec(out)?.[1] ?? 0);
    await expect.poll(port, { ...polling, message: `${out}\n${said()}` }).toBeGreaterThan(0);
    const echo = async (bytes: Buffer): Promise<Buffer> => {
      const socket = connectTcp(port(), "127.0.0.1");
      const got: Buffer[] = [];
      socket.write(bytes);
      for await (const chunk of socket) {
        got.push(chunk);
        if (Buffer.concat(got).length === bytes.length) break;
      }
      return Buffer.concat(got);
    };
    const sent = [Buffer.from("GET / HTTP/1.1\r\n\r\n"), randomBytes(200_000), randomBytes(10)];
    const got = await Promise.all(sent.map(echo));
    expect(got.map((bytes, place) => bytes.equals(sent[place]!))).toEqual([true, true, true]);
    child.kill();
    await once(child, "exit");
  });
});

test("older kubectls, which use SPDY, work as well", async () => {
  isStormy = false;
  const env = {
    ...{ PATH: process.env["PATH"], HOME: folder, KUBECONFIG: proxies.get(ann)!.kubeconfig },
    KUBECTL_REMOTE_COMMAND_WEBSOCKETS: "false",
  };
  const child = spawn(findKubectls().at(-1)!, ["exec", "-i", "talker", "-n", namespace, "--", "cat"], { env });
  child.stdin.end("by SPDY\n");
  expect(await text(child.stdout)).toBe("by SPDY\n");
});

describe("requests without an upgrade", () => {
  beforeAll(() => {
    isStormy = false;
  });

  test("pass unchanged: protobuf, tables, discovery, errors", async () => {
    expect(await run("create configmap one --from-literal=a=b")).toMatchObject({ code: 0 });
    expect(await run("get configmap one -o jsonpath={.data.a}")).toMatchObject({ code: 0, out: "b" });
    expect((await run("get pods talker")).out).toMatch(/^NAME +READY +STATUS +RESTARTS +AGE\ntalker +1\/1 +Running/);
    expect(await run("get pods none")).toMatchObject({
      code: 1,
      err: expect.stringContaining('pods "none" not found'),
    });
    expect((await run("auth whoami -o jsonpath={.status.userInfo.username}")).out).toBe(
      "arn:aws:iam::123456789012:role/Administrator",
    );
    expect((await run("get pods --as=bob --as-group=a,b --as-group=c")).code).toBe(0);
  });

  test("streams: a watch, and a log that is followed", async () => {
    const watching = run("get configmaps -w -o name", { cut: 8000 });
    const following = run("logs -f talker", { cut: 8000 });
    await new Promise((done) => setTimeout(done, 2500));
    await run("create configmap two");
    expect((await watching).out).toContain("configmap/two\n");
    expect((await following).out).toBe("begun\n");
  });
});

describe("an unauthorized user", () => {
  test("gets upstream's message for every request", async () => {
    const denied = (part: string) =>
      `Error from server (Forbidden): pods "talker" is forbidden: User "bob" cannot create resource "pods/${part}" in API group "" in the namespace "default"`;
    expect((await run("get pods", { as: bob })).code).toBe(0);
    for (const [words, part] of [
      ["exec talker -- id", "exec"],
      ["attach talker", "attach"],
      ["port-forward talker 18080:8080", "portforward"],
    ] as const) {
      const { code, err } = await run(words, { as: bob });
      expect([words, code, err]).toEqual([words, 1, expect.stringMatching(/(?:F|f)orbidden/)]);
      expect(err).toContain(denied(part).split(": ").slice(1).join(": ").replace("pods/", "pods/"));
    }
    const impersonated = await run("exec talker --as=bob -- id");
    expect(impersonated).toMatchObject({ code: 1, err: expect.stringContaining('User "bob" cannot create resource') });
    expect((await run("exec talker -- id", { as: stranger })).code).toBe(1);
    expect((await run("get pods", { as: stranger })).code).toBe(1);
  });

  test("is refused by the proxy without its token", async () => {
    const upgrade = { connection: "upgrade", upgrade: "websocket", "sec-websocket-protocol": "v5.channel.k8s.io" };
    const path = "/api/v1/namespaces/default/pods/talker/exec?command=id&stdout=true";
    for (const headers of [{}, { authorization: "Bearer guess" }, upgrade, { ...upgrade, authorization: "Bearer x" }]) {
      const { status, body } = await ask(ann, path, headers);
      expect([status, JSON.parse(body).reason]).toEqual([401, "Unauthorized"]);
    }
    expect(statSync(proxies.get(ann)!.kubeconfig).mode & 0o777).toBe(0o600);
  });

  test("is audited like every user", async () => {
    const events = () => lines.filter((line) => line.includes('"audit"') && line.includes('"subresource":"exec"'));
    const found = events().find((line) => line.includes('"username":"bob"'));
    expect(found).toContain('"authorization.k8s.io/decision":"forbid"');
    const allowed = events().find((line) => line.includes("role/Administrator") && line.includes("command=echo"));
    expect(allowed).toContain('"code":101');
  });
});

test("an agent that dies ends its streams with an error", async () => {
  const began = Date.now();
  const going = run("exec talker -- sh -c 'echo on; sleep 600'", { cut: 100_000 });
  await new Promise((done) => setTimeout(done, 3000));
  await agent.kill();
  const { code, out, err } = await going;
  expect([code, out]).toEqual([1, "on\n"]);
  expect(err).toMatch(/error/i);
  expect(Date.now() - began).toBeLessThan(70_000);
  agent = start();
  await ready();
  const again = async () => (await run("exec talker -- echo back")).out;
  await expect.poll(again, { timeout: 60_000, interval: 1000, message: said() }).toBe("back\n");
}, 240_000);

test("leaves nothing behind when all streams have ended", async () => {
  await expect.poll(() => stage.connected, { timeout: 20_000, interval: 200 }).toBe(1);
});

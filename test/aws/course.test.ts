import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { nodes } from "#api";
import { systemClock } from "#base";
import { type HttpClient, httpClient } from "#client";
import { playAgents } from "#test/cluster";
import { findKubectls, kubectl, type Outcome } from "../kubectl/runner.ts";
import { builtOnce } from "./built-once.ts";
import { ann, bob, stranger, tokenFor, whoIs, writeKubeconfig } from "./principals.ts";
import { openStage, type Stage } from "./stage.ts";

/*
 * The course's objects through the bundles: kubectl with a token of the AWS CLI's form and API Gateway's rules; every
 * write passes through the tables, the stream and the queues to the controllers and back.
 */

let stage: Stage;
let client: HttpClient;
let folder: string;
const lines: string[] = [];
let playing = true;
let played: Promise<void>;

/** A node whose agent the test simulates: it is ready, and its pods run as soon as they are bound. */
const makeNode = (name: string) =>
  client.create(nodes, {
    metadata: { name, labels: { "kubernetes.io/hostname": name } },
    status: {
      allocatable: { cpu: "4", memory: "8Gi", pods: "50" },
      conditions: [
        { type: "Ready", status: "True", reason: "KubeletReady", lastHeartbeatTime: new Date().toISOString() },
      ],
    },
  });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "skiff-course-"));
  const built = builtOnce();
  stage = await openStage({
    built,
    whoIs,
    output: (name, line) => lines.push(`${name} ${line}`),
  });
  await stage.deploy();
  client = httpClient({ server: stage.url, ca: stage.ca, token: await tokenFor(ann, stage.clusterId) });
  await makeNode("one");
  await makeNode("two");
  played = (async () => {
    while (playing) {
      await playAgents(client, systemClock).catch(() => {});
      await new Promise((done) => setTimeout(done, 200));
    }
  })();
}, 120_000);

afterAll(async () => {
  playing = false;
  await played;
  client?.close();
  await stage?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const kubectlPath = findKubectls().at(-1)!;
async function run(words: string, person = ann): Promise<Outcome> {
  const home = join(folder, person.accessKeyId);
  const kubeconfig = await writeKubeconfig({
    folder: home,
    server: stage.url,
    ca: stage.ca,
    clusterId: stage.clusterId,
    person,
  });
  return kubectl({ kubectl: kubectlPath, kubeconfig, namespace: "default", home, editor: "/bin/true" }, { run: words });
}

describe("kubectl", () => {
  test("applies the course's Deployment, which runs", async () => {
    const applied = await run("apply -f test/manifests/deployment.yaml");
    expect(applied).toMatchObject({ code: 0, out: expect.stringContaining("created") });
    const rolled = await run("rollout status deployment/test-nginx-deployment --timeout=60s");
    expect(rolled, lines.slice(-20).join("\n")).toMatchObject({
      code: 0,
      out: expect.stringContaining("successfully rolled out"),
    });
  });

  test("sees it change with get -w, and rolls it", async () => {
    const watching = kubectlWatch();
    await new Promise((done) => setTimeout(done, 3000));
    expect(await run("set image deployment/test-nginx-deployment nginx=nginx:1.27")).toMatchObject({ code: 0 });
    expect(await run("rollout status deployment/test-nginx-deployment --timeout=60s")).toMatchObject({ code: 0 });
    const { out } = await watching;
    expect(out.split("\n").filter((line) => line.startsWith("test-nginx-deployment")).length).toBeGreaterThan(3);
  });

  test("deletes it, with its dependents", async () => {
    expect(await run("delete deployment test-nginx-deployment")).toMatchObject({ code: 0 });
    expect(await run("wait --for=delete pod -l app=nginx --timeout=60s")).toMatchObject({ code: 0 });
  });
});

const kubectlWatch = (): Promise<Outcome> =>
  kubectl(
    {
      kubectl: kubectlPath,
      kubeconfig: join(folder, ann.accessKeyId, "kubeconfig"),
      namespace: "default",
      home: join(folder, ann.accessKeyId),
      editor: "/bin/true",
    },
    { run: "get deployment -w", cut: 20_000 },
  );

describe("users", () => {
  test("are admitted only with an access entry, and authorized by roles", async () => {
    expect(await run("get pods", stranger)).toMatchObject({ code: 1, err: expect.stringContaining("logged in") });
    expect(await run("get pods", bob)).toMatchObject({ code: 1, err: expect.stringContaining("logged in") });
    const entry = JSON.stringify({
      apiVersion: "skiff.dev/v1",
      kind: "AccessEntry",
      metadata: { name: "developers" },
      spec: { principalArn: "arn:aws:iam::123456789012:role/Developer", username: "bob", groups: ["developers"] },
    });
    expect(await kubectlWith(entry)).toMatchObject({ code: 0 });
    await expect
      .poll(() => run("get pods", bob), { timeout: 20_000 })
      .toMatchObject({
        err: expect.stringContaining('User "bob" cannot list resource "pods"'),
      });
    expect(await run("create rolebinding view --clusterrole=view --group=developers")).toMatchObject({ code: 0 });
    await expect.poll(() => run("get pods", bob), { timeout: 20_000 }).toMatchObject({ code: 0 });
    expect(await run("create configmap mine", bob)).toMatchObject({
      code: 1,
      err: expect.stringContaining("forbidden"),
    });
    expect(await run("auth whoami", bob)).toMatchObject({ code: 0, out: expect.stringContaining("bob") });
  });
});

const kubectlWith = (stdin: string): Promise<Outcome> =>
  kubectl(
    {
      kubectl: kubectlPath,
      kubeconfig: join(folder, ann.accessKeyId, "kubeconfig"),
      namespace: "default",
      home: join(folder, ann.accessKeyId),
      editor: "/bin/true",
    },
    { run: "apply -f -", stdin },
  );

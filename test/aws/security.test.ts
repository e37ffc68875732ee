import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { builtOnce } from "./built-once.ts";
import { ann, stranger, tokenFor, whoIs } from "./people.ts";
import { openStage, type Stage } from "./stage.ts";

/*
 * What each function does with those who should not be there: nobody, somebody else, too much, nonsense, and what was
 * good once. Against the bundles; what AWS itself keeps away (an unsigned request to `/iam`) is the front's.
 */

let stage: Stage;
const lines: string[] = [];

beforeAll(async () => {
  stage = await openStage({ built: builtOnce(), whoIs, output: (_, line) => lines.push(line) });
  await stage.deploy();
});
afterAll(() => stage?.stop());

const ask = async (path: string, headers: Record<string, string> = {}, init: RequestInit = {}) => {
  const { request } = await import("node:https");
  return new Promise<{ status: number; body: string }>((resolve, reject) => {
    const url = new URL(`${stage.url}${path}`);
    const sent = request(url, { method: init.method ?? "GET", headers, ca: stage.ca }, (response) => {
      let body = "";
      response.on("data", (chunk) => {
        body += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
    });
    sent.on("error", reject);
    sent.end(init.body as string | undefined);
  });
};
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const pods = "/api/v1/namespaces/default/pods";

describe("api", () => {
  test("nobody comes in without a token, except where everybody may", async () => {
    for (const path of [pods, "/", "/api", "/openapi/v3", "/apis"]) {
      const { status, body } = await ask(path);
      expect([path, status]).toEqual([path, 401]);
      expect(JSON.parse(body)).toMatchObject({ kind: "Status", code: 401, reason: "Unauthorized" });
    }
    for (const path of ["/healthz", "/livez", "/readyz", "/version"]) expect((await ask(path)).status).toBe(200);
  });

  test("a wrong token, a stranger's, one for another cluster, one that was good once", async () => {
    const quarter = new Date(Date.now() - 15 * 60_000);
    const tokens = {
      nonsense: "k8s-aws-v1.AAAA",
      stranger: await tokenFor(stranger, stage.clusterId),
      "wrong secret": await tokenFor({ ...ann, secretAccessKey: "guess" }, stage.clusterId),
      "another cluster": await tokenFor(ann, "123456789012/eu-west-1/other"),
      replayed: await tokenFor(ann, stage.clusterId, quarter),
      jwt: "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzeXN0ZW06bWFzdGVycyJ9.",
    };
    for (const [name, token] of Object.entries(tokens)) {
      expect([name, (await ask(pods, bearer(token))).status]).toEqual([name, 401]);
    }
    expect((await ask(pods, bearer(await tokenFor(ann, stage.clusterId)))).status).toBe(200);
  });

  test("headers that only a host may set say nothing here", async () => {
    const forged = {
      "x-remote-user": "system:admin",
      "x-remote-group": "system:masters",
      "impersonate-user": "system:admin",
      "impersonate-group": "system:masters",
      "x-amzn-iam-arn": "arn:aws:iam::123456789012:role/Administrator",
    };
    expect((await ask(pods, forged)).status).toBe(401);
  });

  test("the signed surface takes nobody who has not signed, whatever token he has", async () => {
    const token = await tokenFor(ann, stage.clusterId);
    expect((await ask(`/iam${pods}`)).status).toBe(403);
    expect((await ask(`/iam${pods}`, bearer(token))).status).toBe(403);
  });

  test("a body over the limit is refused with a Status", async () => {
    const headers = { ...bearer(await tokenFor(ann, stage.clusterId)), "content-type": "application/json" };
    const body = JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", data: { x: "x".repeat(3.2 * 1024 * 1024) } });
    const answer = await ask("/api/v1/namespaces/default/configmaps", headers, { method: "POST", body });
    expect([answer.status, JSON.parse(answer.body).code]).toEqual([413, 413]);
    const huge = await ask("/api/v1/namespaces/default/configmaps", headers, {
      method: "POST",
      body: "x".repeat(11e6),
    });
    expect(huge.status).toBe(413);
  });

  test("an event that is no request gets a Status, and the function lives on", async () => {
    const api = stage.functions.get("api")!;
    for (const event of [{}, null, [], { httpMethod: 7 }, { Records: [] }]) {
      const { contentType, body } = await api.invoke(event);
      let text = "";
      for await (const chunk of body) text += chunk;
      expect(contentType).toBe("application/vnd.awslambda.http-integration-response");
      expect(JSON.parse(text.slice(0, text.indexOf("\0")))).toMatchObject({ statusCode: 400 });
    }
    expect((await ask("/version")).status).toBe(200);
  });
});

/** For those that no person can call: what they refuse, and that nothing was called meanwhile. */
const refuses = async (name: string, events: unknown[]) => {
  const target = stage.functions.get(name)!;
  for (const event of events) {
    await expect(target.call(event), `${name} took ${JSON.stringify(event)?.slice(0, 80)}`).rejects.toThrow();
  }
};
const malformed = [null, 7, "x", [], { Records: 7 }, { Records: [{}] }, { Records: [{ body: 1 }] }];
const record = (body: string, attributes: unknown = { ApproximateReceiveCount: "1", MessageGroupId: "g" }) => ({
  Records: [{ messageId: "m", receiptHandle: "r", body, attributes }],
});

describe.each(["reconcile", "schedule"])("%s", (name) => {
  test("refuses what is no batch", () => refuses(name, malformed));
});

test("reconcile lets a message go that is for nobody, however large", async () => {
  const target = stage.functions.get("reconcile")!;
  for (const body of ["", "{}", "x".repeat(250_000), '{"controller":"rm -rf","name":"x","cause":"c","hops":0}']) {
    expect(await target.call(record(body))).toEqual({ batchItemFailures: [] });
  }
});

describe("stream", () => {
  test("refuses what are no records", () =>
    refuses("stream", [...malformed, { Records: [{ eventID: "1", dynamodb: {} }] }]));
  test("takes a record that says nothing to it for what it is", async () => {
    const NewImage = { p: { S: "core/pods#0" }, r: { N: "9" }, v: { S: "x" } };
    const Records = [{ eventID: "1", dynamodb: { NewImage, SequenceNumber: "1" } }];
    expect(await stage.functions.get("stream")!.call({ Records })).toBeNull();
  });
});

test("tick refuses what is no event", () => refuses("tick", [null, 7, "x", []]));

describe("bootstrap", () => {
  const event = { RequestType: "Create", StackId: "s", RequestId: "r", LogicalResourceId: "l" };
  test("refuses what CloudFormation would not send, and answers nobody without TLS", () =>
    refuses("bootstrap", [...malformed, event, { ...event, ResponseURL: "http://127.0.0.1:1/" }]));
});

describe("link", () => {
  const context = (eventType: string, identity: object = {}) => ({
    requestContext: { eventType, connectionId: "c1", identity },
  });
  const link = () => stage.functions.get("link")!;

  test("refuses what is neither a socket's event nor EC2's", () =>
    refuses("link", [
      ...malformed,
      { requestContext: {} },
      { source: "aws.s3", "detail-type": "x", detail: {} },
      { ...context("MESSAGE"), body: "x".repeat(33 * 1024) },
    ]));

  test("lets only nodes connect", async () => {
    const people = [
      {},
      { userArn: "arn:aws:sts::123456789012:assumed-role/Administrator/i-0123456789abcdef0" },
      { userArn: "arn:aws:iam::123456789012:user/i-0123456789abcdef0" },
    ];
    for (const identity of people) expect(await link().call(context("CONNECT", identity))).toEqual({ statusCode: 403 });
  });

  test("nonsense from a connection changes nothing", async () => {
    for (const body of ["", "{", '{"action":"rm"}', '{"action":"watch","watches":[{"type":7}]}']) {
      expect(await link().call({ ...context("MESSAGE"), body })).toEqual({ statusCode: 400 });
    }
    await expect(link().call({ ...context("MESSAGE"), body: '{"action":"heartbeat"}' })).rejects.toThrow("not known");
  });

  test("an instance that is no node is none of its business", async () => {
    const detail = { "instance-id": "i-00000000000000000", state: "terminated" };
    const event = { source: "aws.ec2", "detail-type": "EC2 Instance State-change Notification", detail };
    expect(await link().call(event)).toBeNull();
  });
});

test("no token ever reaches a log", async () => {
  const token = await tokenFor(ann, stage.clusterId);
  await ask(pods, bearer(token));
  await ask(pods, bearer(`${token}x`));
  const all = lines.join("\n");
  expect(all).not.toContain("k8s-aws-v1.");
  expect(all).not.toContain("X-Amz-Signature");
});

test("who asked for what is in the log", async () => {
  await ask("/api/v1/namespaces/default/secrets/audited", bearer(await tokenFor(ann, stage.clusterId)));
  await ask("/healthz");
  const events = () => lines.flatMap((line) => /"audit":(\{.*\})/.exec(line)?.[0] ?? []);
  await expect.poll(events).toContainEqual(expect.stringContaining('"name":"audited"'));
  const event = events().find((line) => line.includes('"name":"audited"'));
  expect(event).toContain(
    '"responseStatus":{"metadata":{},"status":"Failure","message":"secrets \\"audited\\" not found"',
  );
  expect(event).toContain('"authorization.k8s.io/decision":"allow"');
  expect(events().join()).not.toContain("/healthz");
});

import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { text } from "node:stream/consumers";
import fc from "fast-check";
import { decodeJwt, decodeProtectedHeader, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { serviceAccounts, type TokenRequest } from "#api";
import { instance, whoseInstance } from "../agents.ts";
import { builtOnce } from "../built-once.ts";
import { ann, bob, type Person, stranger, tokenFor, whoIs } from "../principals.ts";
import { doorsOf } from "./doors.ts";
import { account, ask, bearer, type Ground, mutantsOf, openGround, shapeless, unharmed } from "./ground.ts";

/* `functions/api` against unauthorized callers. Signatures are checked by API Gateway, here by its stand-in. */

let ground: Ground;
const pods = "/api/v1/namespaces/default/pods";
const configMaps = "/api/v1/namespaces/default/configmaps";
const [one, other] = [instance("i-0ddddddddddddddd1"), instance("i-0ddddddddddddddd2")];
/** Has the node's role, and a session that EC2 has not named. */
const intruder: Person = { accessKeyId: "ASIAINTRUDER", secretAccessKey: "secret-of-intruder" };

beforeAll(async () => {
  const whose = whoseInstance(builtOnce(), [one, other]);
  const named = (key: string) => {
    const found = key === intruder.accessKeyId ? whose(one.accessKeyId) : undefined;
    return found && { arn: found.arn.replace(one.id, "me"), secret: intruder.secretAccessKey };
  };
  ground = await openGround("api", { born: true, whoIs: (key) => whoIs(key) ?? whose(key) ?? named(key) });
});
afterAll(() => ground?.stop());

const anns = async (at?: Date) => bearer(await tokenFor(ann, ground.stage.clusterId, at));
const json = { "content-type": "application/json" };
const statusOf = async (token: string) => (await ask(ground.stage, pods, { headers: bearer(token) })).status;

/** The function's response when it is called past API Gateway. */
async function answerTo(event: unknown): Promise<{ statusCode: number; body: string }> {
  const { contentType, body } = await ground.target.invoke(event);
  expect(contentType).toBe("application/vnd.awslambda.http-integration-response");
  const said = await text(body);
  const end = said.indexOf("\0");
  return { ...JSON.parse(said.slice(0, end)), body: said.slice(end + 8) };
}
const eventOf = (resource: string, path: string, identity: object = {}, more: object = {}) => ({
  ...{ resource, path, httpMethod: "GET", multiValueHeaders: {}, multiValueQueryStringParameters: null },
  ...{ body: null, isBase64Encoded: false, requestContext: { requestId: "r", identity }, ...more },
});
const administrator = {
  userArn: `arn:aws:sts::${account}:assumed-role/Administrator/ann`,
  accountId: account,
  user: "AROAEXAMPLE:ann",
};

const issue = async (name: string, spec: object = {}): Promise<string> => {
  const question = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", metadata: {}, spec };
  const asked = await ground.client.createSubresource(
    serviceAccounts,
    { namespace: "default", name },
    "token",
    question as never,
  );
  return (asked as TokenRequest).status!.token;
};

describe("no identity", () => {
  test("only API Gateway calls it, for this API", () => {
    const { rest } = builtOnce().wiring;
    const source = `arn:aws:execute-api:eu-west-1:${account}:${rest!.id}/*/*/*`;
    const callers = [{ principal: "apigateway.amazonaws.com", source }];
    expect(doorsOf("api")).toEqual({ callers, roles: [], mapped: [], readable: [] });
    const signed = rest!.routes.filter(({ authorization }) => authorization === "AWS_IAM");
    expect(signed.map(({ path }) => path).sort()).toEqual(["/iam", "/iam/{proxy+}"]);
  });

  test("refuses requests without a token, except for open paths", async () => {
    for (const path of [pods, "/", "/api", "/openapi/v3", "/apis"]) {
      const { status, body } = await ask(ground.stage, path);
      expect([path, status]).toEqual([path, 401]);
      expect(JSON.parse(body)).toMatchObject({ kind: "Status", code: 401, reason: "Unauthorized" });
    }
    for (const path of ["/healthz", "/livez", "/readyz", "/version"])
      expect((await ask(ground.stage, path)).status).toBe(200);
  });

  test("ignores headers that only a host may set", async () => {
    const headers = {
      "x-remote-user": "system:admin",
      "x-remote-group": "system:masters",
      "impersonate-user": "system:admin",
      "impersonate-group": "system:masters",
      "x-amzn-iam-arn": "arn:aws:iam::123456789012:role/Administrator",
    };
    expect((await ask(ground.stage, pods, { headers })).status).toBe(401);
  });

  test("the signed surface refuses unsigned requests, with any token", async () => {
    expect((await ask(ground.stage, `/iam${pods}`)).status).toBe(403);
    expect((await ask(ground.stage, `/iam${pods}`, { headers: await anns() })).status).toBe(403);
  });

  test("identities of signers are accepted on the signed surface only", async () => {
    const signed = (resource: string, path: string, identity: object) => answerTo(eventOf(resource, path, identity));
    expect((await signed("/iam/{proxy+}", `/iam${pods}`, administrator)).statusCode).toBe(200);
    expect((await signed("/{proxy+}", pods, administrator)).statusCode).toBe(401);
    expect((await signed("/{proxy+}", `/iam${pods}`, administrator)).statusCode).toBe(401);
    expect((await signed("/iam/{proxy+}", `/iam${pods}`, { userArn: null })).statusCode).toBe(401);
    expect((await signed("/iam/{proxy+}", `/iam${pods}`, { userArn: "" })).statusCode).toBe(401);
  });
});

describe("a wrong identity", () => {
  test("refuses a stranger's token, a known user's without an entry, one with a guessed secret, and one for another cluster", async () => {
    const { clusterId } = ground.stage;
    const tokens = {
      nonsense: "k8s-aws-v1.AAAA",
      stranger: await tokenFor(stranger, clusterId),
      "without an entry": await tokenFor(bob, clusterId),
      "wrong secret": await tokenFor({ ...ann, secretAccessKey: "guess" }, clusterId),
      "another cluster": await tokenFor(ann, `${account}/eu-west-1/other`),
      "another account's cluster of this name": await tokenFor(ann, clusterId.replace(account, "210987654321")),
      jwt: "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzeXN0ZW06bWFzdGVycyJ9.",
    };
    for (const [name, token] of Object.entries(tokens)) expect([name, await statusOf(token)]).toEqual([name, 401]);
    expect((await ask(ground.stage, pods, { headers: await anns() })).status).toBe(200);
  });

  test("refuses a service account's token of another cluster's key, for another audience, and a forged one", async () => {
    await ground.client.create(serviceAccounts, { metadata: { namespace: "default", name: "robot" } });
    const token = await issue("robot");
    // It is authenticated, and has no permissions.
    expect(await statusOf(token)).toBe(403);
    const [{ kid = "" }, claims] = [decodeProtectedHeader(token), decodeJwt(token)];
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const forged = (alg: string, key: Parameters<SignJWT["sign"]>[0]) =>
      new SignJWT(claims).setProtectedHeader({ alg, kid }).sign(key);
    const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const tokens = {
      "another cluster's key": await forged(
        "RS256",
        createPrivateKey(privateKey.export({ type: "pkcs8", format: "pem" })),
      ),
      "a public key as a secret": await forged("HS256", Buffer.from(ground.stage.published()["openid/v1/jwks"]!)),
      unsigned: `${encoded({ alg: "none", kid })}.${encoded(claims)}.`,
      "another audience": await issue("robot", { audiences: ["vault"] }),
    };
    for (const [name, wrong] of Object.entries(tokens)) expect([name, await statusOf(wrong)]).toEqual([name, 401]);
  });

  test("a session of the node's role that EC2 has not named is not a node; a node is only itself", async () => {
    const lease = ({ id }: { id: string }) => `/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${id}`;
    const status = async (path: string, by: Person) => (await ask(ground.stage, path, { by })).status;
    expect(await status(lease(one), intruder)).toBe(401);
    expect(await status(lease(one), one)).toBe(404);
    expect(await status("/api/v1/namespaces/kube-system/secrets", one)).toBe(403);
    for (const { id } of [one, other]) {
      const body = JSON.stringify({ apiVersion: "v1", kind: "Node", metadata: { name: id } });
      const { status: made } = await ask(ground.stage, "/api/v1/nodes", {
        method: "POST",
        headers: json,
        body,
        by: one,
      });
      expect([id, made]).toEqual([id, id === one.id ? 201 : 403]);
    }
  });
});

describe("oversized requests", () => {
  test("a body over the limit is refused with a Status", async () => {
    const headers = { ...(await anns()), ...json };
    const body = JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", data: { x: "x".repeat(3.2 * 1024 * 1024) } });
    const answer = await ask(ground.stage, configMaps, { method: "POST", headers, body });
    expect([answer.status, JSON.parse(answer.body).code]).toEqual([413, 413]);
    // API Gateway's own limit.
    const huge = await ask(ground.stage, configMaps, { method: "POST", headers, body: "x".repeat(11e6) });
    expect(huge.status).toBe(413);
  });

  test("accepts Lambda's maximum: in a body, a header, the path, the query, and depth", async () => {
    const much = "x".repeat(5.9e6);
    const signed = (path: string, more: object = {}) => answerTo(eventOf("/iam/{proxy+}", path, administrator, more));
    const post = { httpMethod: "POST", multiValueHeaders: { "Content-Type": ["application/json"] } };
    const deep = `${'{"a":'.repeat(5000)}1${"}".repeat(5000)}`;
    await unharmed(ground.target, async () => {
      expect((await signed(`/iam${configMaps}`, { ...post, body: much })).statusCode).toBe(413);
      expect((await signed(`/iam${configMaps}`, { ...post, body: deep })).statusCode).toBe(400);
      expect(JSON.parse((await signed(`/iam${pods}/${much}`)).body).kind).toBe("Status");
      const selecting = { multiValueQueryStringParameters: { labelSelector: [much] } };
      expect((await signed(`/iam${pods}`, selecting)).statusCode).toBe(400);
      for (const value of [`Bearer ${much}`, `Bearer k8s-aws-v1.${much}`, `Bearer${" ".repeat(5.9e6)}`]) {
        const headers = { multiValueHeaders: { Authorization: [value] } };
        expect((await answerTo(eventOf("/{proxy+}", pods, {}, headers))).statusCode).toBe(401);
      }
    });
  });
});

describe("a malformed request", () => {
  test("gets a Status, and the function continues", async () => {
    await unharmed(ground.target, async () => {
      for (const event of [...shapeless, {}, { httpMethod: 7 }, { Records: [] }])
        expect(await answerTo(event)).toMatchObject({ statusCode: 400 });
    });
    expect((await ask(ground.stage, "/version")).status).toBe(200);
  });

  test("and one with a single fault is answered, whatever the fault", async () => {
    const good = eventOf("/iam/{proxy+}", `/iam${configMaps}`, administrator, {
      httpMethod: "POST",
      multiValueHeaders: { "Content-Type": ["application/json"], Accept: ["application/json"] },
      multiValueQueryStringParameters: { dryRun: ["All"] },
      body: JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { generateName: "a-" }, data: { a: "b" } }),
    });
    expect((await answerTo(good)).statusCode).toBe(201);
    const tried = fc.asyncProperty(fc.oneof(mutantsOf(good), fc.jsonValue()), async (event) => {
      const { statusCode } = await answerTo(event ?? null);
      expect(statusCode).toBeGreaterThanOrEqual(200);
      expect(statusCode).toBeLessThan(500);
    });
    await unharmed(ground.target, () => fc.assert(tried, { numRuns: 200 }));
    expect((await answerTo(good)).statusCode).toBe(201);
  });
});

describe("expired and repeated requests", () => {
  const quarter = 15 * 60_000;
  test("a token expires after a quarter of an hour, however it is cached", async () => {
    expect(await statusOf(await tokenFor(ann, ground.stage.clusterId, new Date(Date.now() - quarter)))).toBe(401);
    const old = await tokenFor(ann, ground.stage.clusterId, new Date(Date.now() - quarter + 10_000));
    expect(await statusOf(old)).toBe(200);
    await expect.poll(() => statusOf(old), { timeout: 60_000, interval: 250 }).toBe(401);
  });

  test("a service account's token ends with the account, and a new account of the same name does not revive it", async () => {
    const key = { namespace: "default", name: "leaver" };
    await ground.client.create(serviceAccounts, { metadata: key });
    const token = await issue("leaver");
    expect(await statusOf(token)).toBe(403);
    await ground.client.delete(serviceAccounts, key);
    expect(await statusOf(token)).toBe(401);
    await ground.client.create(serviceAccounts, { metadata: key });
    expect(await statusOf(token)).toBe(401);
    expect(await statusOf(await issue("leaver"))).toBe(403);
  });

  test("a repeated write creates nothing twice and undoes nothing", async () => {
    const headers = { ...(await anns()), ...json };
    const sent = (method: string, path: string, object: object) =>
      ask(ground.stage, path, { method, headers, body: JSON.stringify(object) });
    const made = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "twice" }, data: { n: "1" } };
    const first = await sent("POST", configMaps, made);
    expect([first.status, (await sent("POST", configMaps, made)).status]).toEqual([201, 409]);
    const put = { ...JSON.parse(first.body), data: { n: "2" } };
    expect((await sent("PUT", `${configMaps}/twice`, put)).status).toBe(200);
    expect((await sent("PUT", `${configMaps}/twice`, { ...put, data: { n: "1" } })).status).toBe(409);
    expect(JSON.parse((await ask(ground.stage, `${configMaps}/twice`, { headers })).body).data).toEqual({ n: "2" });
  });
});

describe("the log", () => {
  test("never holds a token", async () => {
    const token = await tokenFor(ann, ground.stage.clusterId);
    for (const each of [token, `${token}x`, await issue("robot")]) await statusOf(each);
    const all = ground.lines.join("\n");
    expect(all).toContain("a token was refused");
    expect(all).not.toMatch(/k8s-aws-v1\.|X-Amz-Signature|eyJhbGci/);
  });

  test("records the requests and their users", async () => {
    await ask(ground.stage, "/api/v1/namespaces/default/secrets/audited", { headers: await anns() });
    await ask(ground.stage, "/healthz");
    const events = () => ground.lines.flatMap((line) => /"audit":(\{.*\})/.exec(line)?.[0] ?? []);
    await expect.poll(events).toContainEqual(expect.stringContaining('"name":"audited"'));
    const event = events().find((line) => line.includes('"name":"audited"'));
    expect(event).toContain(
      '"responseStatus":{"metadata":{},"status":"Failure","message":"secrets \\"audited\\" not found"',
    );
    expect(event).toContain('"authorization.k8s.io/decision":"allow"');
    expect(events().join()).not.toContain("/healthz");
  });
});

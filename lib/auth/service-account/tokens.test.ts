import { createHmac, generateKeyPairSync } from "node:crypto";
import { CompactSign, createLocalJWKSet, jwtVerify } from "jose";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { pods, secrets, serviceAccounts } from "#api";
import { systemRandom } from "#base";
import { testIssuer as issuer, openCluster, type TestCluster } from "#test/cluster";
import { type HandClock, handClock, make } from "#test/make";
import { tokenAuthority } from "./index.ts";
import { newRingText, parseRing, ringKeys, signingAt } from "./keys.ts";

/*
 * What upstream's validator and authenticator refuse (pkg/serviceaccount/claims_test.go, jwt_test.go), through the
 * whole API server.
 */

const start = Date.parse("2026-03-01T12:00:00Z");
const account = "/api/v1/namespaces/default/serviceaccounts/robot";
let cluster: TestCluster;
let clock: HandClock;

beforeAll(async () => {
  clock = handClock(start);
  cluster = await openCluster({ clock, asleep: true });
  await cluster.plane.bootstrap();
  await cluster.addNode("one");
});
afterAll(() => cluster.close());
beforeEach(async () => {
  clock.move(start - clock.now());
  await cluster.client.create(serviceAccounts, make.serviceAccount({ metadata: { name: "robot" } })).catch(() => {});
});

type Spec = Record<string, unknown>;
const request = (spec: Spec = {}, path = account) =>
  cluster.ask("POST", `${path}/token`, { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec });
const tokenOf = async (spec?: Spec): Promise<string> => (await request(spec)).json.status.token;
const claimsIn = (token: string) => JSON.parse(Buffer.from(token.split(".")[1]!, "base64url").toString());
const whoami = async (token: string) => {
  const question = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" };
  const response = await cluster.plane.server.handle({
    method: "POST",
    path: "/apis/authentication.k8s.io/v1/selfsubjectreviews",
    query: new URLSearchParams(),
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: async () => Buffer.from(JSON.stringify(question)),
    signal: new AbortController().signal,
  });
  return { status: response.status, json: JSON.parse(Buffer.from(response.body as Uint8Array).toString()) };
};
const review = async (token: string, audiences: string[] = []) => {
  const body = { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token, audiences } };
  return (await cluster.ask("POST", "/apis/authentication.k8s.io/v1/tokenreviews", body)).json.status;
};
const refusedBecause = async (token: string, why: string | RegExp) => {
  expect((await whoami(token)).status).toBe(401);
  expect((await review(token)).error).toMatch(why);
};
const newPod = (name: string, part: object = {}) =>
  cluster.client.create(pods, make.pod({ metadata: { name }, spec: { serviceAccountName: "robot", ...part } }));
const bindTo = (kind: string, name: string, more: object = {}) => ({
  boundObjectRef: { apiVersion: "v1", kind, name, ...more },
});

test("issues tokens with upstream's claims, which authenticate the account", async () => {
  const { status, json } = await request();
  expect(status).toBe(201);
  expect(json).toMatchObject({
    kind: "TokenRequest",
    metadata: { name: "robot", namespace: "default", creationTimestamp: "2026-03-01T12:00:00Z" },
    spec: { audiences: [issuer], expirationSeconds: 3600 },
    status: { expirationTimestamp: "2026-03-01T13:00:00Z" },
  });
  const { metadata } = await cluster.client.get(serviceAccounts, { namespace: "default", name: "robot" });
  const now = start / 1000;
  const claims = claimsIn(json.status.token);
  expect(claims).toEqual({
    aud: [issuer],
    exp: now + 3600,
    iat: now,
    iss: issuer,
    jti: expect.stringMatching(/^[0-9a-f-]{36}$/),
    "kubernetes.io": { namespace: "default", serviceaccount: { name: "robot", uid: metadata.uid } },
    nbf: now,
    sub: "system:serviceaccount:default:robot",
  });
  expect((await whoami(json.status.token)).json.status.userInfo).toEqual({
    username: "system:serviceaccount:default:robot",
    uid: metadata.uid,
    groups: ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"],
    extra: { "authentication.kubernetes.io/credential-id": [`JTI=${claims.jti}`] },
  });
});

test("publishes the signing keys to anonymous clients", async () => {
  const open = async (path: string) => {
    const response = await cluster.plane.server.handle({
      method: "GET",
      path,
      query: new URLSearchParams(),
      headers: {},
      body: async () => new Uint8Array(),
      signal: new AbortController().signal,
    });
    return { headers: response.headers, json: JSON.parse(Buffer.from(response.body as Uint8Array).toString()) };
  };
  const configuration = await open("/.well-known/openid-configuration");
  expect(configuration.json).toEqual({
    issuer,
    jwks_uri: `${issuer}/openid/v1/jwks`,
    response_types_supported: ["id_token"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: ["RS256"],
  });
  const keys = await open("/openid/v1/jwks");
  expect(keys.headers["content-type"]).toBe("application/jwk-set+json");
  expect(Object.keys(keys.json.keys[0]).sort()).toEqual(["alg", "e", "kid", "kty", "n", "use"]);
  const checked = await jwtVerify(await tokenOf(), createLocalJWKSet(keys.json), {
    issuer,
    currentDate: new Date(start),
  });
  expect(checked.payload.sub).toBe("system:serviceaccount:default:robot");
});

test("accepts lifetimes from ten minutes to 2^32 seconds, with a minute of leeway", async () => {
  for (const [expirationSeconds, why] of [
    [599, "spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes"],
    [2 ** 32 + 1, "may not specify a duration larger than 2^32 seconds"],
  ] as const) {
    const { status, json } = await request({ expirationSeconds });
    expect([status, json.message]).toEqual([422, expect.stringContaining(why)]);
  }
  const token = await tokenOf({ expirationSeconds: 600 });
  clock.move(659_000);
  expect((await whoami(token)).status).toBe(201);
  clock.move(2000);
  await refusedBecause(token, "service account token has expired");
  clock.move(-661_000 - 61_000);
  await refusedBecause(token, "service account token is not valid yet");
});

test("refuses tokens for other audiences", async () => {
  const token = await tokenOf({ audiences: ["vault", "other"] });
  expect((await whoami(token)).status).toBe(401);
  expect(await review(token, ["vault"])).toMatchObject({ authenticated: true, audiences: ["vault"] });
  const why = `[invalid bearer token, token audiences ["vault","other"] is invalid for the target audiences ["${issuer}"]]`;
  expect(await review(token)).toEqual({ user: {}, error: why });
  expect(await review(await tokenOf(), ["vault"])).toMatchObject({
    error: expect.stringContaining("target audiences"),
  });
});

test("answers reviews without a token and of another issuer's token", async () => {
  const body = { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: {} };
  const { status, json } = await cluster.ask("POST", "/apis/authentication.k8s.io/v1/tokenreviews", body);
  expect([status, json.message]).toEqual([400, "token is required for TokenReview in authentication"]);
  expect(await review("nonsense")).toEqual({ user: {}, error: "invalid bearer token" });
  const metadata = { name: "other" };
  const asked = await cluster.ask("POST", `${account}/token`, {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    metadata,
  });
  expect(asked.json.message).toContain(
    'metadata.name: Invalid value: "other": must match the service account name if specified',
  );
  expect((await request({}, account.replace("robot", "missing"))).json.message).toBe(
    'serviceaccounts "missing" not found',
  );
  expect((await cluster.ask("GET", `${account}/token`)).status).toBe(405);
});

test("names the pod and its node in a pod's token, which is invalid after the pod's deletion", async () => {
  const pod = await newPod("bound", { nodeName: "one" });
  const token = await tokenOf(bindTo("Pod", "bound", { uid: pod.metadata.uid }));
  const { uid } = pod.metadata;
  expect(claimsIn(token)["kubernetes.io"]).toMatchObject({ pod: { name: "bound", uid }, node: { name: "one" } });
  const extra = "authentication.kubernetes.io";
  expect((await whoami(token)).json.status.userInfo.extra).toMatchObject({
    [`${extra}/pod-name`]: ["bound"],
    [`${extra}/pod-uid`]: [uid],
    [`${extra}/node-name`]: ["one"],
    [`${extra}/node-uid`]: [expect.any(String)],
  });
  // While the pod is being deleted the token is valid until a minute after its grace period.
  await cluster.client.delete(pods, { namespace: "default", name: "bound" }, { gracePeriodSeconds: 30 });
  clock.move(89_000);
  expect((await whoami(token)).status).toBe(201);
  clock.move(2000);
  await refusedBecause(token, "service account token has been invalidated");
  await cluster.client.delete(pods, { namespace: "default", name: "bound" }, { gracePeriodSeconds: 0 });
  await refusedBecause(token, "service account token has been invalidated");
  await newPod("bound");
  await refusedBecause(token, /pod UID \(.+\) does not match service account pod ref claim/);
});

test("refuses tokens that are bound to other objects", async () => {
  await cluster.client.create(serviceAccounts, make.serviceAccount({ metadata: { name: "other" } })).catch(() => {});
  await newPod("theirs", { serviceAccountName: "other" });
  await newPod("ours");
  for (const [spec, code, message] of [
    [bindTo("Pod", "nowhere"), 404, 'pods "nowhere" not found'],
    [
      bindTo("Pod", "theirs"),
      400,
      'cannot bind token for serviceaccount "robot" to pod running with different serviceaccount name.',
    ],
    [bindTo("ConfigMap", "a"), 400, "cannot bind token to object of type /v1, Kind=ConfigMap"],
    [
      bindTo("Pod", "ours", { uid: "x" }),
      409,
      'Operation cannot be fulfilled on Pod "ours": the UID in the bound object reference (x) does not match the UID in record. The object might have been deleted and then recreated',
    ],
  ] as const) {
    expect((await request(spec)).json).toMatchObject({ code, message });
  }
});

test("invalidates tokens with the secret or node that they are bound to", async () => {
  await cluster.client.create(secrets, make.secret({ metadata: { name: "keys" } }));
  const token = await tokenOf(bindTo("Secret", "keys"));
  expect((await whoami(token)).status).toBe(201);
  await cluster.client.delete(secrets, { namespace: "default", name: "keys" });
  await refusedBecause(token, "service account token has been invalidated");
  await cluster.addNode("two");
  const nodes = await tokenOf(bindTo("Node", "two"));
  expect((await whoami(nodes)).json.status.userInfo.extra["authentication.kubernetes.io/node-name"]).toEqual(["two"]);
  await cluster.ask("DELETE", "/api/v1/nodes/two");
  await refusedBecause(nodes, "service account token has been invalidated");
  // A pod's token only names the node.
  await cluster.addNode("three");
  await newPod("there", { nodeName: "three" });
  const pod = await tokenOf(bindTo("Pod", "there"));
  await cluster.ask("DELETE", "/api/v1/nodes/three");
  expect((await whoami(pod)).status).toBe(201);
});

test("invalidates a token with its account, also where another account has its name", async () => {
  const token = await tokenOf();
  await cluster.client.delete(serviceAccounts, { namespace: "default", name: "robot" });
  await refusedBecause(token, 'serviceaccounts "robot" not found');
  await cluster.client.create(serviceAccounts, make.serviceAccount({ metadata: { name: "robot" } }));
  await refusedBecause(token, /service account UID \(.+\) does not match claim/);
});

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

test("refuses tokens with foreign signatures", async () => {
  const token = await tokenOf();
  const [header = "", payload = "", signature = ""] = token.split(".");
  const { kid } = JSON.parse(Buffer.from(header, "base64url").toString());
  const jwks = (await cluster.ask("GET", "/openid/v1/jwks")).json;
  const { createPublicKey } = await import("node:crypto");
  const pem = createPublicKey({ key: jwks.keys[0], format: "jwk" }).export({ type: "spki", format: "pem" });
  const hmac = `${part({ alg: "HS256", kid })}.${payload}`;
  const other = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  const signed = (headers: object) =>
    new CompactSign(Buffer.from(payload, "base64url")).setProtectedHeader({ alg: "RS256", ...headers }).sign(other);
  const forged = { ...claimsIn(token), "kubernetes.io": { namespace: "kube-system" } };
  const tokens = {
    "another payload": `${header}.${part(forged)}.${signature}`,
    "alg none": `${part({ alg: "none" })}.${payload}.`,
    "alg none with a kid": `${part({ alg: "none", kid })}.${payload}.`,
    "the public key as a secret": `${hmac}.${createHmac("sha256", pem).update(hmac).digest("base64url")}`,
    "another key under our id": await signed({ kid }),
    "another key": await signed({ kid: "other" }),
    "another key without an id": await signed({}),
    "its own key": await signed({ jwk: other.export({ format: "jwk" }) }),
  };
  for (const [name, forgery] of Object.entries(tokens)) {
    expect([name, (await whoami(forgery)).status]).toEqual([name, 401]);
    expect([name, (await review(forgery)).error]).toEqual([name, expect.stringContaining("signature")]);
  }
  const elsewhere = `${header}.${part({ ...claimsIn(token), iss: "https://elsewhere" })}.${signature}`;
  await refusedBecause(elsewhere, /^invalid bearer token$/);
  expect((await whoami(token)).status).toBe(201);
});

test("reads the ring again for unknown key ids, at a limited rate", async () => {
  const hand = handClock(start);
  let text = newRingText(0);
  let reads = 0;
  const read = async () => {
    reads++;
    return text;
  };
  const options = { issuer, client: cluster.client, clock: hand, random: systemRandom };
  const theirs = tokenAuthority({ ...options, keys: ringKeys({ read, clock: hand, maxAge: 300_000 }) });
  await theirs.review(await tokenOf(), [issuer]);
  expect(reads).toBe(1);
  text = newRingText(0);
  const ours = tokenAuthority({ ...options, keys: ringKeys({ read: async () => text, clock: hand, maxAge: 0 }) });
  const robot = await cluster.client.get(serviceAccounts, { namespace: "default", name: "robot" });
  const { token } = await ours.issue(robot, { audiences: [], expirationSeconds: 900 });
  expect(await theirs.review(token, [issuer])).toEqual({ error: "invalid signature, no keys found" });
  expect(reads).toBe(1);
  hand.move(10_000);
  expect(await theirs.review(token, [issuer])).toMatchObject({ audiences: [issuer] });
  expect(reads).toBe(2);
});

test("limits the lifetime of tokens, and returns the granted lifetime", async () => {
  const keys = ringKeys({ read: async () => newRingText(0), clock, maxAge: Number.POSITIVE_INFINITY });
  const { client } = cluster;
  const short = tokenAuthority({ keys, issuer, longest: 86_400, client, clock, random: systemRandom });
  const robot = await cluster.client.get(serviceAccounts, { namespace: "default", name: "robot" });
  const issued = await short.issue(robot, { audiences: ["a"], expirationSeconds: 100_000 });
  expect(issued).toMatchObject({ audiences: ["a"], expirationSeconds: 86_400 });
  expect(claimsIn(issued.token).exp - claimsIn(issued.token).iat).toBe(86_400);
});

test("rejects a damaged ring", () => {
  expect(parseRing("x8Kq+random")).toEqual([]);
  expect(() => parseRing('{"keys":[{"kid":"a"}]}')).toThrow("damaged");
  expect(
    signingAt(
      [
        { kid: "a", privateKey: "", from: 5 },
        { kid: "b", privateKey: "" },
      ],
      4,
    ),
  ).toBeUndefined();
});

import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { Sha256 } from "@aws-crypto/sha256-js";
import { SignatureV4 } from "@smithy/signature-v4";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { handClock } from "#test/make";
import { registryCredentials } from "./registry.ts";

const hour = 3_600_000;
const start = Date.parse("2030-01-01T12:00:00Z");
const credentials = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "secret", sessionToken: "session/token+with=signs" };
const image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app:1";

interface ReceivedRequest {
  method: string | undefined;
  path: string | undefined;
  headers: IncomingHttpHeaders;
  body: string;
}

/** An ECR that answers from `state`; tokens are valid for twelve hours and numbered. */
async function openEcr() {
  const clock = handClock(start);
  const requests: ReceivedRequest[] = [];
  const state: { refusal?: { status: number; body: string }; life?: number | undefined; silent?: boolean } = {
    life: 12 * hour,
  };
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method, url: path, headers } = request;
    requests.push({ method, path, headers, body: await text(request) });
    if (state.silent) return;
    if (state.refusal) return void response.writeHead(state.refusal.status).end(state.refusal.body);
    const authorizationToken = Buffer.from(`AWS:password:${requests.length}`).toString("base64");
    const expiresAt = state.life === undefined ? undefined : (clock.now() + state.life) / 1000;
    const proxyEndpoint = "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    response.writeHead(200, { "content-type": "application/x-amz-json-1.1" });
    response.end(JSON.stringify({ authorizationData: [{ authorizationToken, expiresAt, proxyEndpoint }] }));
  };
  const server = createServer((request, response) => void serve(request, response)).listen(0, "127.0.0.1");
  await once(server, "listening");
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const make = (changes: { credentials?: () => Promise<typeof credentials> } = {}) =>
    registryCredentials({ region: "us-east-1", credentials, endpoint, clock, ...changes });
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { clock, requests, state, make, close };
}

let ecr: Awaited<ReturnType<typeof openEcr>>;
beforeEach(async () => {
  ecr = await openEcr();
});
afterEach(() => {
  vi.unstubAllGlobals();
  ecr.close();
});

test("signs the request to ECR for the registry's region", async () => {
  expect(await ecr.make()(image)).toEqual({ username: "AWS", password: "password:1" });
  const [{ method, path, headers, body } = {} as ReceivedRequest] = ecr.requests;
  expect([method, path, body]).toEqual(["POST", "/", "{}"]);
  expect(headers).toMatchObject({
    "content-type": "application/x-amz-json-1.1",
    "x-amz-target": "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
    "x-amz-security-token": credentials.sessionToken,
    "x-amz-date": "20300101T120000Z",
  });
  expect(headers.authorization).toMatch(
    /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/20300101\/eu-west-1\/ecr\/aws4_request, /,
  );
  // As the verifier computes it, from the received request.
  const names = /SignedHeaders=([^,]+)/.exec(headers.authorization ?? "")?.[1]?.split(";") ?? [];
  expect(names).toEqual(expect.arrayContaining(["content-type", "host", "x-amz-target"]));
  const own = new Set(["x-amz-date", "x-amz-security-token", "x-amz-content-sha256"]);
  const signed = names.filter((name) => !own.has(name)).map((name) => [name, String(headers[name])]);
  const verifier = new SignatureV4({ service: "ecr", region: "eu-west-1", credentials, sha256: Sha256 });
  const again = await verifier.sign(
    { method: "POST", protocol: "http:", hostname: "", path: "/", headers: Object.fromEntries(signed), body },
    { signingDate: new Date(start) },
  );
  expect(again.headers["authorization"]).toBe(headers.authorization);
});

test("finds ECR's endpoint of each private registry by region and partition, and none for other registries", async () => {
  const hosts: string[] = [];
  vi.stubGlobal("fetch", async (url: URL, { headers }: { headers: Record<string, string> }) => {
    hosts.push(`${url.host} ${/\/([a-z0-9-]+)\/ecr\//.exec(headers["authorization"] ?? "")?.[1]}`);
    return new Response(JSON.stringify({ authorizationData: [{ authorizationToken: btoa("AWS:secret") }] }));
  });
  const of = registryCredentials({ region: "us-east-1", credentials, clock: handClock(start) });
  for (const [registry, host] of [
    ["dkr.ecr.eu-west-1.amazonaws.com", "api.ecr.eu-west-1.amazonaws.com eu-west-1"],
    ["dkr.ecr-fips.us-east-2.amazonaws.com", "ecr-fips.us-east-2.amazonaws.com us-east-2"],
    ["dkr.ecr-fips.us-gov-west-1.amazonaws.com", "ecr-fips.us-gov-west-1.amazonaws.com us-gov-west-1"],
    ["dkr.ecr.cn-north-1.amazonaws.com.cn", "api.ecr.cn-north-1.amazonaws.com.cn cn-north-1"],
    ["dkr.ecr.eusc-de-east-1.amazonaws.eu", "api.ecr.eusc-de-east-1.amazonaws.eu eusc-de-east-1"],
    ["dkr-ecr.eu-west-1.on.aws", "api.ecr.eu-west-1.amazonaws.com eu-west-1"],
    ["dkr-ecr-fips.us-east-1.on.aws", "ecr-fips.us-east-1.amazonaws.com us-east-1"],
    ["dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", "api.ecr.cn-north-1.amazonaws.com.cn cn-north-1"],
  ]) {
    expect(await of(`123456789012.${registry}/app@sha256:0`)).toEqual({ username: "AWS", password: "secret" });
    expect(hosts.splice(0)).toEqual([host]);
  }
  for (const reference of [
    ...["nginx:1", "docker.io/library/nginx:1", "public.ecr.aws/nginx/nginx:1", "registry.example.com/app"],
    "12345678901.dkr.ecr.eu-west-1.amazonaws.com/app",
    "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
    "123456789012.dkr.ecr.eu-west-1.amazonaws.com.example.com/app",
    "123456789012.dkr.ecr.eu-west-1.example.amazonaws.com/app",
    "123456789012.dkr.ecr.eu-west-1xamazonaws.com/app",
    "example.com/123456789012.dkr.ecr.eu-west-1.amazonaws.com/app",
    "a123456789012.dkr.ecr.eu-west-1.amazonaws.com/app",
  ]) {
    expect(await of(reference), reference).toBeUndefined();
  }
  expect(hosts).toEqual([]);
});

test("caches a token for half of its lifetime, for all registries of its region", async () => {
  const of = ecr.make();
  const passwords = async (...references: string[]) => {
    const found = [];
    for (const reference of references) found.push((await of(reference))?.password);
    return found;
  };
  const other = "999999999999.dkr.ecr.eu-west-1.amazonaws.com/app";
  const fips = "123456789012.dkr.ecr-fips.eu-west-1.amazonaws.com/app";
  const far = "123456789012.dkr.ecr.us-west-2.amazonaws.com/app";
  expect(await passwords(image, other, fips, far)).toEqual(["password:1", "password:1", "password:2", "password:3"]);
  ecr.clock.move(6 * hour - 1);
  expect(await passwords(image)).toEqual(["password:1"]);
  ecr.clock.move(1);
  expect(await passwords(image, other)).toEqual(["password:4", "password:4"]);
});

test("uses a token without an expiry, or with a past one, for one pull only", async () => {
  const of = ecr.make();
  ecr.state.life = undefined;
  expect([await of(image), await of(image)].map((found) => found?.password)).toEqual(["password:1", "password:2"]);
  ecr.state.life = -hour;
  expect([await of(image), await of(image)].map((found) => found?.password)).toEqual(["password:3", "password:4"]);
});

test("concurrent pulls share one request", async () => {
  const of = ecr.make();
  const found = await Promise.all([of(image), of(image), of("999999999999.dkr.ecr.eu-west-1.amazonaws.com/app")]);
  expect(found.map((one) => one?.password)).toEqual(["password:1", "password:1", "password:1"]);
  expect(ecr.requests).toHaveLength(1);
});

test("reports a refusal to all waiting pulls and does not cache it", async () => {
  const of = ecr.make();
  const message = "User: arn:aws:sts::123456789012:assumed-role/a/i-1 is not authorized";
  ecr.state.refusal = { status: 400, body: JSON.stringify({ __type: "AccessDeniedException", message }) };
  const why = `api.ecr.eu-west-1.amazonaws.com: 400 AccessDeniedException ${message}`;
  const both = await Promise.allSettled([of(image), of(image)]);
  expect(both.map((one) => one.status === "rejected" && one.reason.message)).toEqual([why, why]);
  expect(ecr.requests).toHaveLength(1);
  ecr.state.refusal = { status: 503, body: "<html>" };
  await expect(of(image)).rejects.toThrow(/amazonaws\.com: 503$/);
  for (const body of ["", "{}", '{"authorizationData":[]}', '{"authorizationData":[{"authorizationToken":"QVdT"}]}']) {
    ecr.state.refusal = { status: 200, body };
    await expect(of(image)).rejects.toThrow("an answer without a token");
  }
  delete ecr.state.refusal;
  expect(await of(image)).toMatchObject({ username: "AWS" });
});

test("fails with the registry's name when ECR is unreachable or credentials are missing", async () => {
  ecr.close();
  await expect(ecr.make()(image)).rejects.toThrow("ECONNREFUSED");
  const none = async () => Promise.reject(new Error("no credentials here"));
  await expect(ecr.make({ credentials: none })(image)).rejects.toThrow("no credentials here");
});

test("times out after ten seconds without an answer and sends a new request for the next pull", async () => {
  const of = ecr.make();
  ecr.state.silent = true;
  const pull = of(image);
  const failed = expect(pull).rejects.toThrow("no answer in time");
  await expect.poll(() => ecr.requests.length).toBe(1);
  ecr.clock.move(10_000);
  await failed;
  // The same for a machine without credentials.
  const searching = ecr.make({ credentials: () => new Promise(() => {}) })(image);
  const rejected = expect(searching).rejects.toThrow("no answer in time");
  ecr.clock.move(10_000);
  await rejected;
  ecr.state.silent = false;
  expect(await of(image)).toMatchObject({ username: "AWS" });
});

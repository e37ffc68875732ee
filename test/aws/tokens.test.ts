import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from "jose";
import { afterAll, beforeAll, expect, test } from "vitest";
import { serviceAccounts, type TokenRequest } from "#api";
import { isApiError } from "#base";
import { type HttpClient, httpClient } from "#client";
import { builtOnce } from "./built-once.ts";
import { ann, tokenFor, whoIs } from "./principals.ts";
import { openStage, type Stage } from "./stage.ts";

/* Tokens of service accounts through the bundles: the key's birth, its use, and its documents' end. */

let stage: Stage;
let client: HttpClient;
const as = (token: string) => httpClient({ server: stage.url, ca: stage.ca, token });
const account = { namespace: "default", name: "robot" };

beforeAll(async () => {
  stage = await openStage({ built: builtOnce(), whoIs });
  expect(stage.published()).toEqual({});
  await stage.deploy();
  client = as(await tokenFor(ann, stage.clusterId));
  await client.create(serviceAccounts, { metadata: { ...account } });
});
afterAll(async () => {
  client?.close();
  await stage?.stop();
});

const issue = async (spec: object = {}): Promise<NonNullable<TokenRequest["status"]>> => {
  const question = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", metadata: {}, spec };
  return ((await client.createSubresource(serviceAccounts, account, "token", question as never)) as TokenRequest)
    .status!;
};
const keys = () => (JSON.parse(stage.published()["openid/v1/jwks"]!) as { keys: { kid: string }[] }).keys;

test("a token can be verified with the published issuer alone, and by the API", async () => {
  const { token } = await issue();
  const { issuer } = JSON.parse(stage.published()[".well-known/openid-configuration"]!) as { issuer: string };
  const { payload } = await jwtVerify(token, createLocalJWKSet({ keys: keys() } as never), { issuer });
  expect(payload).toMatchObject({ iss: issuer, aud: [issuer], sub: "system:serviceaccount:default:robot" });
  const robot = as(token);
  const refusal = await robot.list(serviceAccounts, { namespace: "default" }).catch((error: unknown) => error);
  expect(isApiError(refusal) && refusal.message).toContain(
    'User "system:serviceaccount:default:robot" cannot list resource "serviceaccounts"',
  );
  const forged = as(`${token.slice(0, -8)}AAAAAAAA`);
  await expect(forged.list(serviceAccounts)).rejects.toMatchObject({ reason: "Unauthorized" });
  robot.close();
  forged.close();
});

test("no token is valid for more than a day", async () => {
  const { token } = await issue({ expirationSeconds: 1_000_000, audiences: ["a"] });
  const { exp = 0, iat = 0 } = JSON.parse(Buffer.from(token.split(".")[1]!, "base64url").toString());
  expect(exp - iat).toBe(86_400);
});

test("a repeated deployment changes nothing; the tick publishes what is missing", async () => {
  const before = [stage.secrets.text, stage.published()];
  await stage.deploy();
  expect([stage.secrets.text, stage.published()]).toEqual(before);
  expect(decodeProtectedHeader((await issue()).token).kid).toBe(keys()[0]!.kid);
});

test("the last deployment deletes the documents if the data is deleted", async () => {
  await stage.deploy("Delete", { data: "keep" });
  expect(Object.keys(stage.published())).toHaveLength(2);
  await stage.deploy("Delete", { data: "delete" });
  expect(stage.published()).toEqual({});
  // Six hours contain one minute at which the tick maintains the keys.
  const quarter = 6 * 3_600_000;
  await stage.tick(new Date(Math.ceil(Date.now() / quarter) * quarter + 17 * 60_000));
  expect(Object.keys(stage.published()).sort()).toEqual([".well-known/openid-configuration", "openid/v1/jwks"]);
});

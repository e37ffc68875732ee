import { expect, test } from "vitest";
import { type Sts, stsTokens } from "#auth/aws-iam";
import { stsHosts } from "#aws";
import { silentLog } from "#base";
import { handClock } from "#test/make";
import { tokenMaker } from "./token.ts";

const clusterId = "123456789012/eu-west-1/prod";
const credentials = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "secret", sessionToken: "session/token+with=signs" };
const start = Date.parse("2030-01-01T12:00:00Z");

/** The server's own verifier, with an STS that knows one instance. */
function verifier(partition = "aws") {
  const requests: URL[] = [];
  const clock = handClock(start);
  const sts: Sts = async (url) => {
    requests.push(new URL(url));
    const Arn = `arn:${partition}:sts::123456789012:assumed-role/skiff-nodes/i-0123456789abcdef0`;
    const GetCallerIdentityResult = { Account: "123456789012", Arn, UserId: "AROAEXAMPLE:i-0123456789abcdef0" };
    return { status: 200, body: JSON.stringify({ GetCallerIdentityResponse: { GetCallerIdentityResult } }) };
  };
  const authenticate = stsTokens({
    administrator: `arn:${partition}:iam::123456789012:role/admin`,
    nodeRoles: [`arn:${partition}:iam::123456789012:role/skiff-nodes`],
    entries: async () => [],
    hosts: stsHosts(partition),
    ...{ clusterId, sts, clock, log: silentLog },
  });
  const ask = async (token: string) => authenticate({ headers: { authorization: `Bearer ${token}` } });
  return { requests, clock, ask };
}

test("creates tokens that the server's verifier accepts, in every partition", async () => {
  for (const [region, partition, host] of [
    ["eu-west-1", "aws", "sts.eu-west-1.amazonaws.com"],
    ["us-gov-west-1", "aws-us-gov", "sts.us-gov-west-1.amazonaws.com"],
    ["cn-north-1", "aws-cn", "sts.cn-north-1.amazonaws.com.cn"],
    ["eusc-de-east-1", "aws-eusc", "sts.eusc-de-east-1.amazonaws.eu"],
  ] as const) {
    const { requests, clock, ask } = verifier(partition);
    const token = await tokenMaker({ region, credentials, clusterId, clock })();
    expect(await ask(token)).toMatchObject({
      name: "system:node:i-0123456789abcdef0",
      groups: ["system:nodes", "system:authenticated"],
    });
    expect(requests.map((url) => [url.host, url.searchParams.get("X-Amz-SignedHeaders")])).toEqual([
      [host, "host;x-k8s-aws-id"],
    ]);
    expect(requests[0]?.searchParams.get("X-Amz-Security-Token")).toBe(credentials.sessionToken);
  }
});

test("creates a new token for each call: an old one expires, the next is valid", async () => {
  const { clock, ask } = verifier();
  const make = tokenMaker({ region: "eu-west-1", credentials, clusterId, clock });
  const first = await make();
  clock.move(15 * 60_000);
  await expect(ask(first)).rejects.toMatchObject({ status: { code: 401 } });
  expect(await ask(await make())).toMatchObject({ name: "system:node:i-0123456789abcdef0" });
});

test("rejects when the machine has no credentials", async () => {
  const none = async () => Promise.reject(new Error("no credentials here"));
  const make = tokenMaker({ region: "eu-west-1", credentials: none, clusterId, clock: handClock(start) });
  await expect(make()).rejects.toThrow("no credentials here");
});

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Sha256 } from "@aws-crypto/sha256-js";
import { SignatureV4 } from "@smithy/signature-v4";
import { describe, expect, test } from "vitest";
import { canonicalArn } from "#api";
import { stsHosts } from "#aws";
import { silentLog } from "#base";
import { handClock } from "#test/make";
import { askSts, type Sts, signedRequests, stsTokens, userOf } from "./index.ts";
import { readToken } from "./token.ts";

const now = Date.parse("2030-01-01T12:00:00Z");
const hosts = stsHosts("aws");
const clusterId = "123456789012/eu-central-1/prod";
const encode = (url: string): string => `k8s-aws-v1.${Buffer.from(url).toString("base64url")}`;

/** A token as `aws eks get-token` makes it. */
async function presigned(change: { header?: string; date?: number; expires?: number } = {}): Promise<URL> {
  const signer = new SignatureV4({
    service: "sts",
    region: "eu-central-1",
    credentials: { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "secret", sessionToken: "session/token+with=signs" },
    sha256: Sha256,
  });
  const host = "sts.eu-central-1.amazonaws.com";
  const { query = {} } = await signer.presign(
    {
      method: "GET",
      protocol: "https:",
      hostname: host,
      path: "/",
      query: { Action: "GetCallerIdentity", Version: "2011-06-15" },
      headers: { host, [change.header ?? "x-k8s-aws-id"]: clusterId },
    },
    {
      expiresIn: change.expires ?? 60,
      signingDate: new Date(change.date ?? now),
      unhoistableHeaders: new Set([change.header ?? "x-k8s-aws-id"]),
    },
  );
  const url = new URL(`https://${host}/`);
  for (const [name, value] of Object.entries(query)) url.searchParams.append(name, String(value));
  return url;
}
const broken = async (change: (url: URL) => void): Promise<string> => {
  const url = await presigned();
  change(url);
  return encode(url.href);
};
const good = async (): Promise<string> => encode((await presigned()).href);

describe("a token", () => {
  test("of the AWS CLI is read, and expires fifteen minutes after its date whatever it claims", async () => {
    const url = await presigned();
    expect(readToken(encode(url.href), hosts, now)).toEqual({ url: url.href, expires: now + 15 * 60_000 });
    expect(() => readToken(encode(url.href), hosts, now + 15 * 60_000 - 1)).not.toThrow();
    const dual = new URL(url);
    dual.host = "sts.us-east-2.api.aws";
    expect(readToken(encode(dual.href), hosts, now).url).toBe(dual.href);
  });

  const wrong: [string, RegExp, () => Promise<string>][] = [
    ["over-long", /longer/, async () => `${await good()}${"A".repeat(4000)}`],
    ["another prefix", /begin/, async () => (await good()).replace("v1", "v2")],
    ["padded Base64", /padding/, async () => `${await good()}=`],
    ["Base64 with stray bits", /padding/, async () => `${encode("https://sts.amazonaws.com/?abcd").slice(0, -1)}B`],
    ["no URL", /no URL/, async () => encode("sts.amazonaws.com")],
    ["plain http", /https/, () => broken((url) => Object.assign(url, { protocol: "http:" }))],
    [
      "another host",
      /STS/,
      () => broken((url) => Object.assign(url, { host: "sts.eu-central-1.amazonaws.com.evil.example" })),
    ],
    ["another AWS host", /STS/, () => broken((url) => Object.assign(url, { host: "iam.amazonaws.com" }))],
    ["a bucket's host", /STS/, () => broken((url) => Object.assign(url, { host: "sts.s3.amazonaws.com" }))],
    [
      "another partition's host",
      /STS/,
      () => broken((url) => Object.assign(url, { host: "sts.cn-north-1.amazonaws.com.cn" })),
    ],
    ["a port", /form/, () => broken((url) => Object.assign(url, { port: "8443" }))],
    ["the standard port", /form/, async () => encode((await presigned()).href.replace(".com/", ".com:443/"))],
    ["a user", /user/, () => broken((url) => Object.assign(url, { username: "me" }))],
    ["another path", /form|path/, () => broken((url) => Object.assign(url, { pathname: "/evil" }))],
    ["a backslash for a slash", /form/, async () => encode((await presigned()).href.replace(".com/?", ".com\\?"))],
    ["a line end inside", /characters/, async () => encode((await presigned()).href.replace("Action", "Act\nion"))],
    ["letters of another script", /characters/, async () => encode((await presigned()).href.replace("sts", "ѕts"))],
    ["a fragment", /fragment/, () => broken((url) => Object.assign(url, { hash: "x" }))],
    ["a parameter twice", /twice/, () => broken((url) => url.searchParams.append("Action", "GetCallerIdentity"))],
    [
      "a parameter twice in another case",
      /twice/,
      () => broken((url) => url.searchParams.append("action", "AssumeRole")),
    ],
    ["a parameter more", /one of STS/, () => broken((url) => url.searchParams.append("RoleArn", "x"))],
    ["another action", /action/, () => broken((url) => url.searchParams.set("Action", "GetSessionToken"))],
    [
      "the action in another case",
      /action/,
      () => broken((url) => url.searchParams.set("Action", "getcalleridentity")),
    ],
    ["no cluster signed", /x-k8s-aws-id/, async () => encode((await presigned({ header: "x-other" })).href)],
    ["a long life", /900/, async () => encode((await presigned({ expires: 901 })).href)],
    ["a life below nothing", /900/, () => broken((url) => url.searchParams.set("X-Amz-Expires", "-1"))],
    ["an old date", /old/, async () => encode((await presigned({ date: now - 15 * 60_000 })).href)],
    ["a date to come", /future/, async () => encode((await presigned({ date: now + 3_600_000 })).href)],
    ["no date", /date/, () => broken((url) => url.searchParams.delete("X-Amz-Date"))],
  ];
  test.each(wrong)("with %s is refused", async (_, why, make) => {
    const token = await make();
    expect(() => readToken(token, hosts, now)).toThrow(why);
  });
});

describe("principals", () => {
  const options = {
    administrator: "arn:aws:iam::123456789012:role/path/admin",
    nodeRoles: ["arn:aws:iam::123456789012:role/skiff-nodes"],
    entries: async () => [
      { principal: "arn:aws:iam::123456789012:user/team/ann", groups: ["developers"] },
      { principal: "arn:aws:iam::123456789012:role/ci", username: "robot", groups: [] },
    ],
  };
  const user = (arn: string) => userOf({ arn, account: "123456789012", id: "AROAEXAMPLE:x" }, options);

  test("have one name in every form", () => {
    const role = "arn:aws:iam::123456789012:role/admin";
    expect(canonicalArn("arn:aws:sts::123456789012:assumed-role/admin/me@example.org")).toBe(role);
    expect(canonicalArn("arn:aws:iam::123456789012:role/some/path/admin")).toBe(role);
    expect(canonicalArn("arn:aws:iam::123456789012:user/team/ann")).toBe("arn:aws:iam::123456789012:user/team/ann");
    for (const none of [
      "arn:aws:sts::123456789012:federated-user/x",
      "arn:aws:iam::1234:user/x",
      "arn:aws:sts::123456789012:assumed-role/admin/a/b",
      "",
    ])
      expect(canonicalArn(none)).toBeUndefined();
  });

  test("are mapped by access entries; an unknown one is no user", async () => {
    expect(await user("arn:aws:sts::123456789012:assumed-role/admin/anybody")).toMatchObject({
      name: "arn:aws:iam::123456789012:role/admin",
      groups: ["system:masters", "system:authenticated"],
    });
    expect(await user("arn:aws:iam::123456789012:user/team/ann")).toMatchObject({
      name: "arn:aws:iam::123456789012:user/team/ann",
      groups: ["developers", "system:authenticated"],
    });
    expect(await user("arn:aws:sts::123456789012:assumed-role/ci/build-7")).toMatchObject({ name: "robot" });
    expect(await user("arn:aws:iam::123456789012:user/ann")).toBeUndefined();
    expect(await user("arn:aws:sts::999999999999:assumed-role/admin/x")).toBeUndefined();
  });

  test("are nodes only with a session name of EC2", async () => {
    const session = "arn:aws:sts::123456789012:assumed-role/skiff-nodes/";
    expect(await user(`${session}i-0123456789abcdef0`)).toMatchObject({
      name: "system:node:i-0123456789abcdef0",
      groups: ["system:nodes", "system:authenticated"],
    });
    expect(await user(`${session}me`)).toBeUndefined();
    expect(await user(`${session}i-x`)).toBeUndefined();
  });
});

describe("the authenticator", () => {
  const body = JSON.stringify({
    GetCallerIdentityResponse: {
      GetCallerIdentityResult: {
        Account: "123456789012",
        Arn: "arn:aws:sts::123456789012:assumed-role/admin/me",
        UserId: "AROAEXAMPLE:me",
      },
    },
  });
  const open = (answer: () => { status: number; body: string } = () => ({ status: 200, body })) => {
    const asked: [string, Record<string, string>][] = [];
    const clock = handClock(now);
    const sts: Sts = async (url, headers) => {
      asked.push([url, headers]);
      return answer();
    };
    const authenticator = stsTokens({
      administrator: "arn:aws:iam::123456789012:role/admin",
      nodeRoles: [],
      entries: async () => [],
      ...{ clusterId, hosts, sts, clock, log: silentLog },
    });
    const ask = (token: string) => Promise.resolve(authenticator({ headers: { authorization: `Bearer ${token}` } }));
    return { asked, clock, ask };
  };
  const refused = { code: 401 };

  test("calls STS once, with this cluster's id, until the token expires", async () => {
    const { asked, clock, ask } = open();
    const token = await good();
    expect(await ask(token)).toMatchObject({ groups: ["system:masters", "system:authenticated"] });
    await ask(token);
    expect(asked).toEqual([[(await presigned()).href, { "x-k8s-aws-id": clusterId, accept: "application/json" }]]);
    clock.move(15 * 60_000);
    await expect(ask(token)).rejects.toMatchObject({ status: refused });
    expect(asked).toHaveLength(1);
  });

  test("ignores other tokens and answers 401 for invalid ones", async () => {
    const { ask, asked } = open();
    expect(await ask("eyJhbGciOi.x.y")).toBeUndefined();
    await expect(ask("k8s-aws-v1.nonsense")).rejects.toMatchObject({ status: refused });
    expect(asked).toEqual([]);
  });

  test("refuses a token that STS refuses, and caches the refusal", async () => {
    const { ask, asked, clock } = open(() => ({ status: 403, body: "<Error/>" }));
    const token = await good();
    for (let tries = 0; tries < 3; tries++) await expect(ask(token)).rejects.toMatchObject({ status: refused });
    expect(asked).toHaveLength(1);
    clock.move(10_001);
    await expect(ask(token)).rejects.toMatchObject({ status: refused });
    expect(asked).toHaveLength(2);
  });

  test("refuses a token after a redirect, an answer without a principal or a failure of STS, and caches nothing", async () => {
    const token = await good();
    for (const answer of [
      { status: 302, body: "" },
      { status: 200, body: "{}" },
      { status: 200, body: "<xml/>" },
      { status: 503, body: "" },
    ]) {
      const { ask, asked } = open(() => answer);
      await expect(ask(token)).rejects.toMatchObject({ status: refused });
      expect(asked).toHaveLength(1);
    }
  });

  test("accepts a principal that a gateway has verified", async () => {
    const authenticator = signedRequests({
      nodeRoles: [],
      entries: async () => [],
      administrator: "arn:aws:iam::123456789012:role/admin",
    });
    const principal = { arn: "arn:aws:sts::123456789012:assumed-role/admin/me", account: "123456789012", id: "x" };
    expect(await authenticator({ headers: {}, principal })).toMatchObject({
      groups: ["system:masters", "system:authenticated"],
    });
    const stranger = { ...principal, arn: "arn:aws:sts::123456789012:assumed-role/other/me" };
    await expect(authenticator({ headers: {}, principal: stranger })).rejects.toMatchObject({ status: refused });
    expect(await authenticator({ headers: {} })).toBeUndefined();
  });

  test("sends the signed headers, follows no redirect and limits the answer", async () => {
    const asked: (string | undefined)[][] = [];
    const server = createServer(({ url, headers }, response) => {
      asked.push([url, headers["x-k8s-aws-id"] as string]);
      if (url === "/?to=elsewhere") response.writeHead(302, { location: "/?to=here" }).end();
      else if (url === "/?to=babbler") response.end("x".repeat(1024 * 1024));
      else if (url === "/?to=closed") response.destroy();
      else response.end("{}");
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const ask = askSts(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const to = (whom: string) => ask(`https://sts.amazonaws.com/?to=${whom}`, { "x-k8s-aws-id": clusterId });
    expect(await to("here")).toEqual({ status: 200, body: "{}" });
    expect(await to("elsewhere")).toEqual({ status: 302, body: "" });
    await expect(to("babbler")).rejects.toThrow("larger than 65536 bytes");
    await expect(to("closed")).rejects.toThrow();
    expect(asked.map(([url]) => url)).toEqual(["/?to=here", "/?to=elsewhere", "/?to=babbler", "/?to=closed"]);
    expect(asked.every(([, id]) => id === clusterId)).toBe(true);
    server.close();
  });
});

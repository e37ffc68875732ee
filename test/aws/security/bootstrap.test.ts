import { appendFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { namespaces, nodes, services } from "#api";
import { createAuthority, issue } from "#auth/certificates";
import { builtOnce } from "../built-once.ts";
import { ann, stranger, tokenFor } from "../principals.ts";
import { doorsOf } from "./doors.ts";
import { ask, bearer, endures, type Ground, mutantsOf, openGround, refuses, shapeless, unharmed } from "./ground.ts";

/* `functions/bootstrap` against unauthorized callers. Only deployments may call it, which IAM enforces. */

interface Answer {
  Status: string;
  Reason?: string;
  PhysicalResourceId: string;
}
let ground: Ground;
let answers: Awaited<ReturnType<typeof openAnswers>>;

/** CloudFormation's URL for responses; the function trusts it as it trusts the stage. */
async function openAnswers(caFile: string) {
  const authority = await createAuthority(Date.now());
  const how = { subject: { commonName: "answers" }, names: ["127.0.0.1"], days: 1, now: Date.now() };
  const heard: string[] = [];
  const server = createServer(await issue({ authority, ...how }), (request, response) => {
    void text(request).then((body) => {
      heard.push(body);
      response.end();
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  appendFileSync(caFile, `\n${authority.cert}`);
  const place = `127.0.0.1:${(server.address() as AddressInfo).port}/answer`;
  return { place, heard, stop: () => server.close() };
}

beforeAll(async () => {
  ground = await openGround("bootstrap");
  answers = await openAnswers(ground.target.deployed.environment["NODE_EXTRA_CA_CERTS"]!);
});
afterAll(async () => {
  answers?.stop();
  await ground?.stop();
});

const eventOf = (RequestType: string, more: object = {}) => ({
  ...{ RequestType, ResponseURL: `https://${answers.place}` },
  ...{ StackId: "stack", RequestId: "request", LogicalResourceId: "Cluster" },
  ResourceProperties: builtOnce().wiring.deployments[0]!.properties,
  ...more,
});
/** The responses that CloudFormation received. */
async function responseTo(event: unknown): Promise<Answer> {
  const before = answers.heard.length;
  await ground.target.call(event);
  expect(answers.heard).toHaveLength(before + 1);
  return JSON.parse(answers.heard.at(-1)!);
}
const success = {
  ...{ Status: "SUCCESS", StackId: "stack", RequestId: "request", LogicalResourceId: "Cluster" },
  PhysicalResourceId: "skiff-bootstrap",
};

describe("no identity", () => {
  test("no service and no role of the cluster may call it; one stack contains it", () => {
    expect(doorsOf("bootstrap")).toEqual({ callers: [], roles: [], mapped: [], readable: [] });
    const { deployments } = builtOnce().wiring;
    expect(deployments.map(({ function: name, type }) => [name, type])).toEqual([
      ["bootstrap", "Custom::SkiffBootstrap"],
    ]);
  });

  test("refuses an event without a response URL, or without TLS, and sends nothing", async () => {
    const { ResponseURL: _url, ...nowhere } = eventOf("Create");
    const others = [`http://${answers.place}`, "file:///tmp/x", "https://", "answer"];
    await refuses(ground.target, [nowhere, ...others.map((ResponseURL) => eventOf("Create", { ResponseURL }))]);
    expect(answers.heard).toEqual([]);
    expect(ground.stage.published()).toEqual({});
  });
});

describe("a wrong identity", () => {
  test("ignores properties about other resources", async () => {
    const ResourceProperties = {
      administrator: "arn:aws:iam::210987654321:role/Administrator",
      issuer: "https://evil.example.com",
      serviceCidr: "192.0.2.0/24",
      version: "other",
    };
    expect(await responseTo(eventOf("Create", { ResourceProperties }))).toEqual(success);
    const { SKIFF_ISSUER: issuer } = ground.target.deployed.environment;
    const published = ground.stage.published();
    expect(JSON.parse(published[".well-known/openid-configuration"]!).issuer).toBe(issuer);
    expect(JSON.stringify(published)).not.toContain("evil");
    const { spec } = await ground.client.get(services, { namespace: "default", name: "kubernetes" });
    expect(spec?.clusterIP).not.toMatch(/^192\.0\.2\./);
    const headers = bearer(await tokenFor(stranger, ground.stage.clusterId));
    expect((await ask(ground.stage, "/api", { headers })).status).toBe(401);
  });

  test("only a known value deletes the issuer's documents", async () => {
    const before = ground.stage.published();
    const wrong = [{ data: "all" }, { data: true }, { data: ["delete"] }];
    await refuses(
      ground.target,
      wrong.map((ResourceProperties) => eventOf("Delete", { ResourceProperties })),
    );
    for (const ResourceProperties of [undefined, {}, { data: "keep" }, { Data: "delete" }])
      expect(await responseTo(eventOf("Delete", { ResourceProperties }))).toEqual(success);
    expect(ground.stage.published()).toEqual(before);
  });
});

test("ignores oversized fields, and does not pass them on", async () => {
  const ResourceProperties = { junk: "x".repeat(5.9e6), data: "keep" };
  await unharmed(ground.target, async () => {
    expect(await responseTo(eventOf("Delete", { ResourceProperties }))).toEqual(success);
    await refuses(ground.target, [eventOf("x".repeat(5.9e6)), { junk: ResourceProperties }]);
  });
  // CloudFormation's limit.
  expect(Buffer.byteLength(answers.heard.at(-1)!)).toBeLessThan(4096);
});

test("refuses a malformed event, and serves the next deployment", async () => {
  const before = [ground.stage.published(), ground.stage.secrets.text];
  await refuses(ground.target, [
    ...shapeless,
    {},
    eventOf("Destroy"),
    eventOf("create"),
    eventOf("Create", { StackId: 7 }),
  ]);
  await endures(ground.target, mutantsOf(eventOf("Delete", { ResourceProperties: { data: "keep" } })), 100);
  expect(await responseTo(eventOf("Update"))).toEqual(success);
  expect([ground.stage.published(), ground.stage.secrets.text]).toEqual(before);
});

describe("repeated events", () => {
  /** All objects of the bootstrap, with their revisions. */
  const born = async () => {
    const found = [];
    for (const path of ["/api/v1/namespaces", "/apis/rbac.authorization.k8s.io/v1/clusterroles", "/api/v1/services"]) {
      const headers = bearer(await tokenFor(ann, ground.stage.clusterId));
      const { items } = JSON.parse((await ask(ground.stage, path, { headers })).body);
      found.push(...items.map(({ metadata: { uid, resourceVersion } }: never) => [uid, resourceVersion]));
    }
    return found;
  };

  test("a repeated bootstrap does not change existing objects", async () => {
    await ground.client.patch(namespaces, { name: "default" }, { metadata: { labels: { kept: "yes" } } } as never, {
      type: "merge",
    });
    const taints = [{ key: "kept", effect: "NoSchedule" }];
    const { spec } = await ground.client.get(nodes, { name: "fargate" });
    const more = { spec: { taints: [...(spec?.taints ?? []), ...taints] } };
    await ground.client.patch(nodes, { name: "fargate" }, more as never, { type: "merge" });
    const before = [await born(), ground.stage.published(), ground.stage.secrets.text];
    for (const type of ["Create", "Create", "Update"]) expect(await responseTo(eventOf(type))).toEqual(success);
    expect([await born(), ground.stage.published(), ground.stage.secrets.text]).toEqual(before);
    expect((await ground.client.get(nodes, { name: "fargate" })).spec?.taints).toEqual(more.spec.taints);
  });

  test("a repeated deletion is not a failure", async () => {
    const ResourceProperties = { data: "delete" };
    for (const _time of ["first", "second"])
      expect(await responseTo(eventOf("Delete", { ResourceProperties }))).toEqual(success);
    expect(ground.stage.published()).toEqual({});
    // The keys and the objects stay: they are in tables and secrets that have a policy of their own.
    expect(await ground.client.get(namespaces, { name: "default" })).toBeDefined();
  });
});

import { GetItemCommand, QueryCommand } from "@aws-sdk/client-dynamodb";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Node, nodes, type Pod, pods } from "#api";
import { builtOnce } from "../built-once.ts";
import { ann, bob, whoIs } from "../principals.ts";
import { doorsOf, ruleArn } from "./doors.ts";
import {
  account,
  ask,
  endures,
  furnish,
  type Ground,
  mutantsOf,
  openGround,
  refuses,
  shapeless,
  unharmed,
} from "./ground.ts";

/* `functions/link` against unauthorized callers. API Gateway authenticates the signer of a connection. */

let ground: Ground;
const [one, other] = ["i-0eeeeeeeeeeeeeee1", "i-0eeeeeeeeeeeeeee2"] as const;
const link = (event: unknown) => ground.target.call(event);

beforeAll(async () => {
  ground = await openGround("link");
  await furnish(ground);
  const spec = { nodeName: one, containers: [{ name: "main", image: "busybox" }] };
  await ground.client.create(pods, { metadata: { namespace: "default", name: "one" }, spec } as Pod);
  expect(await connect("agent-one", sessionOf(one))).toEqual({ statusCode: 200 });
  expect(await connect("agent-other", sessionOf(other))).toEqual({ statusCode: 200 });
});
afterAll(() => ground?.stop());

const nodeRole = () =>
  builtOnce()
    .wiring.functions.find(({ name }) => name === "link")!
    .environment["SKIFF_NODE_ROLES"]!.replace(":iam:", ":sts:")
    .replace(":role/", ":assumed-role/");
const sessionOf = (id: string) => `${nodeRole()}/${id}`;
const contextOf = (eventType: string, connectionId: string, userArn?: string) => ({
  requestContext: { eventType, connectionId, identity: userArn === undefined ? {} : { userArn, accountId: account } },
});
const connect = (id: string, userArn?: string, ticket?: string) =>
  link({
    ...contextOf("CONNECT", id, userArn),
    ...(ticket === undefined ? {} : { headers: { "X-Skiff-Ticket": ticket } }),
  });
const say = (id: string, message: unknown) =>
  link({ ...contextOf("MESSAGE", id), body: typeof message === "string" ? message : JSON.stringify(message) });
const disconnect = (id: string) => link(contextOf("DISCONNECT", id));
const heartbeat = { action: "heartbeat" };
const frame = { a: 0, l: 8 };

const rowsOf = async (partition: string): Promise<string[]> => {
  const { Items = [] } = await ground.rows.send(
    new QueryCommand({
      TableName: ground.objects,
      KeyConditionExpression: "p = :p",
      ExpressionAttributeValues: { ":p": { S: partition } },
      ConsistentRead: true,
    }),
  );
  return Items.map(({ k }) => k?.S ?? "").sort();
};
const rowOf = async (partition: string, key: string) => {
  const Key = { p: { S: partition }, k: { S: key } };
  return (await ground.rows.send(new GetItemCommand({ TableName: ground.objects, Key, ConsistentRead: true }))).Item;
};
const heard = async (node: string) => Number((await rowOf("heartbeat", node))?.["t"]?.N);
const ticketOf = async (): Promise<string> => {
  const path = "/api/v1/namespaces/default/pods/one/exec?command=id&stdout=true";
  const { status, body } = await ask(ground.stage, path, { headers: { "x-skiff-upgrade": "websocket" }, by: ann });
  expect(status).toBe(201);
  return JSON.parse(body).ticket;
};
const arnOf = ({ accessKeyId }: { accessKeyId: string }) => whoIs(accessKeyId)!.arn;

const about = (id: string, state: string | undefined, more: object = {}) => ({
  source: "aws.ec2",
  "detail-type": `EC2 ${state ? "Instance State-change Notification" : "Spot Instance Interruption Warning"}`,
  time: new Date().toISOString(),
  detail: { "instance-id": id, ...(state ? { state } : {}) },
  ...more,
});
const makeNode = (name: string) =>
  ground.client.create(nodes, {
    metadata: { name },
    status: { conditions: [{ type: "Ready", status: "True", reason: "KubeletReady" }] },
  } as Node);
const nodeNamed = (name: string) => ground.client.get(nodes, { name });

describe("no identity", () => {
  test("only API Gateway calls it for its connections, and EventBridge for two rules", () => {
    const { webSocket } = builtOnce().wiring;
    const source = `arn:aws:execute-api:eu-west-1:${account}:${webSocket!.id}/*`;
    const rules = ["InstanceState", "SpotInterruption"].map((id) => ruleArn(id));
    expect(doorsOf("link")).toEqual({
      callers: [
        { principal: "apigateway.amazonaws.com", source },
        ...rules.map((rule) => ({ principal: "events.amazonaws.com", source: rule })),
      ],
      ...{ roles: [], mapped: [], readable: [] },
    });
    const [opening] = webSocket!.routes.filter(({ key }) => key === "$connect");
    expect(opening?.authorization).toBe("AWS_IAM");
  });

  test("an unsigned request does not connect", async () => {
    const identities = [{}, { userArn: null }, { userArn: "" }];
    for (const identity of identities) {
      const requestContext = { eventType: "CONNECT", connectionId: "absent", identity };
      expect(await link({ requestContext })).toEqual({ statusCode: 403 });
      const headers = { "x-skiff-ticket": await ticketOf() };
      expect(await link({ requestContext, headers })).toEqual({ statusCode: 403 });
    }
    expect(await rowsOf("connection")).toEqual(["agent-one", "agent-other"]);
  });

  test("a message without a connection is refused", async () => {
    await expect(say("absent", heartbeat)).rejects.toThrow("unknown connection");
    await expect(say("absent", { action: "watch", watches: [] })).rejects.toThrow();
    for (const relay of [undefined, "agent-one", "absent"])
      expect(await say("absent", { action: "relay", relay, frame })).toEqual({ statusCode: 403 });
    expect(await rowsOf("connection")).toEqual(["agent-one", "agent-other"]);
    expect(await rowsOf("heartbeat")).toEqual([one, other]);
  });
});

describe("a wrong identity", () => {
  test("only sessions of this account's node role that EC2 has named are agents", async () => {
    const people = [
      `arn:aws:sts::${account}:assumed-role/Administrator/${one}`,
      `arn:aws:iam::${account}:user/${one}`,
      `arn:aws:iam::${account}:root`,
      sessionOf(one).replace(account, "210987654321"),
      sessionOf(one).replace("arn:aws:", "arn:aws-cn:"),
      sessionOf(one).replace(":assumed-role/", ":assumed-role/path/"),
      sessionOf("me"),
      sessionOf("i-0"),
      sessionOf(`${one}/x`),
      sessionOf(`${one}\n`),
      nodeRole(),
      `arn:aws:sts::${account}:federated-user/${one}`,
    ];
    for (const arn of people) expect([arn, await connect("wrong", arn)]).toEqual([arn, { statusCode: 403 }]);
    expect(await rowsOf("connection")).toEqual(["agent-one", "agent-other"]);
  });

  test("a ticket is valid for its principal", async () => {
    const ticket = await ticketOf();
    for (const arn of [arnOf(bob), sessionOf(one), `${arnOf(ann)}x`, arnOf(ann).replace(account, "210987654321")])
      expect([arn, await connect("thief", arn, ticket)]).toEqual([arn, { statusCode: 403 }]);
    for (const guess of ["guess", "", `${ticket.slice(0, -1)}!`, `${ticket}=`])
      expect([guess, await connect("thief", arnOf(ann), guess)]).toEqual([guess, { statusCode: 403 }]);
    expect(await connect("guest", arnOf(ann), ticket)).toEqual({ statusCode: 200 });
    expect(await rowsOf("relay")).toEqual(["guest"]);
  });

  test("an agent's frames pass in relays to its own node only, and neither as a client nor on a client's connection", async () => {
    expect(await connect("client", arnOf(ann), await ticketOf())).toEqual({ statusCode: 200 });
    expect(await say("agent-other", { action: "relay", relay: "client", frame })).toEqual({ statusCode: 403 });
    expect(await say("agent-other", { action: "relay", open: true, frame })).toEqual({ statusCode: 403 });
    expect(await say("client", { action: "relay", relay: "client", frame })).toEqual({ statusCode: 403 });
    await expect(say("client", heartbeat)).rejects.toThrow("unknown connection");
    expect(await rowsOf("relay")).toContain("client");
  });

  test("a heartbeat is of the connection's node, whatever it contains", async () => {
    const before = [await heard(one), await heard(other)];
    expect(await say("agent-one", { ...heartbeat, node: other, connectionId: "agent-other" })).toEqual({
      statusCode: 200,
    });
    expect(await heard(one)).toBeGreaterThan(before[0]!);
    expect(await heard(other)).toBe(before[1]);
  });

  test("ignores instances that are not nodes, and other services' events", async () => {
    // Only EC2 can send `aws.ec2` events, and instance ids are never reused, in any account.
    await makeNode("i-0eeeeeeeeeeeeeee3");
    expect(await link(about("i-00000000000000000", "terminated"))).toBeNull();
    await refuses(ground.target, [
      about("i-0eeeeeeeeeeeeeee3", "terminated", { source: "aws.s3" }),
      about("i-0eeeeeeeeeeeeeee3", "terminated", { source: undefined }),
      about("i-0eeeeeeeeeeeeeee3", "terminated", { "detail-type": "EC2 Fleet Instance Change" }),
    ]);
    expect((await nodeNamed("i-0eeeeeeeeeeeeeee3")).metadata.deletionTimestamp).toBeUndefined();
  });
});

describe("oversized messages", () => {
  const much = "x".repeat(5.9e6);
  test("refuses more than API Gateway passes on", async () => {
    await unharmed(ground.target, () =>
      refuses(ground.target, [
        { ...contextOf("MESSAGE", "agent-one"), body: "x".repeat(33 * 1024) },
        { ...contextOf("MESSAGE", "agent-one"), body: much },
        { source: much, "detail-type": "x", detail: {} },
      ]),
    );
    expect(await connect("large", arnOf(ann), much)).toEqual({ statusCode: 403 });
    expect(await connect("large", `${sessionOf(one)}${much}`)).toEqual({ statusCode: 403 });
  });

  test("limits watches and frames", async () => {
    const watch = { type: "core/pods", fields: { "spec.nodeName": one } };
    expect(await say("agent-one", { action: "watch", watches: [watch] })).toEqual({ statusCode: 200 });
    const wrong = [
      { action: "watch", watches: Array(51).fill({ type: "a" }) },
      { action: "watch", watches: [{ type: "x".repeat(201) }] },
      { action: "watch", watches: [{ type: "a", namespace: "x".repeat(64) }] },
      { action: "watch", watches: [{ type: "a", fields: { a: "x".repeat(254) } }] },
      { action: "relay", relay: "x".repeat(129), frame },
      { action: "relay", frame: { ...frame, n: 0, d: "A".repeat(30_100) } },
      { action: "relay", frame: { ...frame, b: Array.from({ length: 129 }, (_, place) => place + 1) } },
    ];
    for (const message of wrong) expect(await say("agent-one", message)).toEqual({ statusCode: 400 });
    expect((await rowOf("connection", "agent-one"))?.["w"]?.S).toBe(JSON.stringify([watch]));
  });
});

describe("malformed messages", () => {
  test("refuses events that are neither a socket's nor EC2's", () =>
    refuses(ground.target, [...shapeless, {}, { requestContext: {} }, contextOf("PING", "agent-one")]));

  test("change nothing, and the next message is processed", async () => {
    for (const body of ["", "{", "null", '{"action":"rm"}', '{"action":"watch","watches":[{"type":7}]}'])
      expect(await say("agent-one", body)).toEqual({ statusCode: 400 });
    const before = await heard(other);
    const words = [
      { action: "watch", watches: [{ type: "core/pods", namespace: "default", fields: { a: "b" } }] },
      { action: "relay", relay: "absent", open: true, frame: { n: 0, d: "QUJD", e: 1, a: 0, b: [1, 2], l: 8, p: 1 } },
    ];
    const bodies = fc.oneof(
      fc.string(),
      ...words.map((word) => mutantsOf(word).map((said) => JSON.stringify(said) ?? "")),
    );
    const said = fc.oneof(
      bodies.map((body) => ({ ...contextOf("MESSAGE", "agent-one"), body })),
      mutantsOf({ ...contextOf("MESSAGE", "agent-one"), body: JSON.stringify(heartbeat) }),
      mutantsOf(about("i-00000000000000000", "stopped")),
    );
    await endures(ground.target, said, 250);
    expect(await heard(other)).toBe(before);
    expect(await say("agent-one", heartbeat)).toEqual({ statusCode: 200 });
  });
});

describe("repeated and late events", () => {
  test("a ticket, once used", async () => {
    const ticket = await ticketOf();
    expect(await connect("first", arnOf(ann), ticket)).toEqual({ statusCode: 200 });
    for (const id of ["second", "first"]) expect(await connect(id, arnOf(ann), ticket)).toEqual({ statusCode: 403 });
    expect(await rowsOf("relay")).not.toContain("second");
    expect(ground.lines.join("\n")).not.toContain(ticket);
  });

  test("an agent's messages after its connection has ended, and a repeated end", async () => {
    const third = "i-0eeeeeeeeeeeeeee4";
    await connect("late", sessionOf(third));
    await say("late", heartbeat);
    for (const _time of ["first", "second"]) expect(await disconnect("late")).toEqual({ statusCode: 200 });
    const before = await heard(third);
    await expect(say("late", heartbeat)).rejects.toThrow("unknown connection");
    await expect(say("late", { action: "watch", watches: [] })).rejects.toThrow();
    expect(await say("late", { action: "relay", relay: "client", frame })).toEqual({ statusCode: 403 });
    expect([await heard(third), await rowsOf("connection")]).toEqual([before, ["agent-one", "agent-other"]]);
  });

  test("a client's messages after its connection has ended", async () => {
    await connect("over", arnOf(ann), await ticketOf());
    await disconnect("over");
    expect(await say("over", { action: "relay", open: true, frame })).toEqual({ statusCode: 403 });
    await disconnect("over");
    expect(await rowsOf("relay")).not.toContain("over");
  });

  test("a repeated termination of an instance", async () => {
    await makeNode("i-0eeeeeeeeeeeeeee5");
    const ended = about("i-0eeeeeeeeeeeeeee5", "terminated");
    for (const _time of ["first", "second"]) expect(await link(ended)).toBeNull();
    await expect(nodeNamed("i-0eeeeeeeeeeeeeee5")).rejects.toMatchObject({ reason: "NotFound" });
  });

  test("a repeated stop does not set a node to Unknown that is back", async () => {
    const id = "i-0eeeeeeeeeeeeeee6";
    await makeNode(id);
    const stopped = about(id, "stopped");
    await link(stopped);
    const ready = async () => (await nodeNamed(id)).status?.conditions?.find(({ type }) => type === "Ready")?.status;
    expect(await ready()).toBe("Unknown");
    await connect("back", sessionOf(id));
    const conditions = [{ type: "Ready", status: "True", reason: "KubeletReady" }];
    await ground.client.patch(nodes, { name: id }, { status: { conditions } } as never, {
      type: "strategic",
      subresource: "status",
    });
    for (const late of [stopped, about(id, "stopping", { time: stopped.time })]) await link(late);
    expect(await ready()).toBe("True");
    await link(about(id, "stopping", { time: new Date(Date.now() + 1000).toISOString() }));
    expect(await ready()).toBe("Unknown");
  });

  test("a repeated Spot warning cordons once", async () => {
    await makeNode("i-0eeeeeeeeeeeeeee7");
    await link(about("i-0eeeeeeeeeeeeeee7", undefined));
    const { spec, metadata } = await nodeNamed("i-0eeeeeeeeeeeeeee7");
    expect(spec?.unschedulable).toBe(true);
    await link(about("i-0eeeeeeeeeeeeeee7", undefined));
    expect((await nodeNamed("i-0eeeeeeeeeeeeeee7")).metadata.resourceVersion).toBe(metadata.resourceVersion);
  });
});

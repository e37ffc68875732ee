import { beforeAll, expect, test } from "vitest";
import { configMaps, deployments, scales } from "#api";
import { type MessageShape, messageShapeOf } from "#api/meta";
import { StatusAnswer } from "#api/meta-v1";
import { memoryStore } from "#store/memory";
import { protobuf } from "#wire";
import type { ApiResponse } from "./request.ts";
import { bareServer } from "./testing/bare-server.ts";

/* Answers to clients that take protobuf and nothing else. Their types and frames are those of v1.37.2. */

const type = "application/vnd.kubernetes.protobuf";
const { decodeEnvelope } = await protobuf();
const { ask, get } = bareServer(memoryStore());
const maps = "/api/v1/namespaces/default/configmaps";
const deploymentPath = "/apis/apps/v1/namespaces/default/deployments";
const shape = configMaps.shape;

async function bytesOf({ body }: ApiResponse): Promise<Buffer> {
  if (body instanceof Uint8Array) return Buffer.from(body);
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function read(response: ApiResponse, of: MessageShape): Promise<Record<string, unknown>> {
  const { apiVersion, kind, decode } = decodeEnvelope(await bytesOf(response));
  return { type: response.headers["content-type"], apiVersion, kind, ...decode(of) };
}

beforeAll(async () => {
  await ask("POST", maps, { metadata: { name: "a" }, data: { x: "1" } });
  await ask("POST", maps, { metadata: { name: "b" }, data: { x: "2" } });
});

test("objects, scales, statuses and refusals", async () => {
  const a = await get(`${maps}/a`, "", { headers: { accept: type } });
  const about = { type, apiVersion: "v1", kind: "ConfigMap" };
  expect(await read(a, shape)).toMatchObject({ ...about, metadata: { name: "a" }, data: { x: "1" } });
  const made = await ask("POST", `${maps}?dryRun=All`, { metadata: { name: "c" } }, { accept: type });
  expect([made.status, await read(made, shape)]).toMatchObject([201, { ...about, metadata: { name: "c" } }]);
  const template = { metadata: { labels: { a: "b" } }, spec: { containers: [{ name: "c", image: "i" }] } };
  const spec = { replicas: 2, selector: { matchLabels: { a: "b" } }, template };
  const whole = await ask("POST", deploymentPath, { metadata: { name: "d" }, spec }, { accept: type });
  expect(await read(whole, deployments.shape)).toMatchObject({ spec: { replicas: 2, template } });
  const scaled = await get(`${deploymentPath}/d/scale`, "", { headers: { accept: type } });
  expect(await read(scaled, scales.shape)).toMatchObject({ kind: "Scale", spec: { replicas: 2 } });
  const status = messageShapeOf(StatusAnswer);
  const gone = await ask("DELETE", `${maps}/a?dryRun=All`, undefined, { accept: type });
  expect(await read(gone, status)).toMatchObject({ type, kind: "Status", status: "Success" });
  const none = await get(`${maps}/none`, "", { headers: { accept: type } });
  expect(await read(none, status)).toMatchObject({ type, kind: "Status", reason: "NotFound", code: 404 });
});

test("lists, whole and of metadata alone", async () => {
  const whole = await get(maps, "", { headers: { accept: type } });
  const { decode, ...about } = decodeEnvelope(await bytesOf(whole));
  expect(about).toEqual({ apiVersion: "v1", kind: "ConfigMapList" });
  const { fields } = listOf(shape);
  expect(decode({ type: "message", name: "list", fields })).toMatchObject({
    items: [{ metadata: { name: "a" } }, { metadata: { name: "b" } }],
  });
  const accept = `${type};as=PartialObjectMetadataList;v=v1;g=meta.k8s.io`;
  const partial = decodeEnvelope(await bytesOf(await get(maps, "", { headers: { accept } })));
  expect(partial).toMatchObject({ apiVersion: "meta.k8s.io/v1", kind: "PartialObjectMetadataList" });
});

const listOf = (item: MessageShape): MessageShape => ({
  type: "message",
  name: "list",
  fields: new Map([["items", { shape: { type: "list", item }, required: true, facts: { n: 2 } }]]),
});

test("a watch is frames of their length, a type and an envelope; what is too far ahead ends it", async () => {
  const events = async (query: string) => {
    const watching = await get(maps, `watch=1&timeoutSeconds=1&${query}`, { headers: { accept: type } });
    expect(watching.headers["content-type"]).toBe(`${type};stream=watch`);
    return framesOf(await bytesOf(watching));
  };
  const seen = await events("resourceVersion=0");
  expect(seen.map(([event, object]) => [event, decodeEnvelope(object).decode(shape)])).toMatchObject([
    ["ADDED", { metadata: { name: "a" }, data: { x: "1" } }],
    ["ADDED", { metadata: { name: "b" }, data: { x: "2" } }],
  ]);
  const ahead = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=99999999";
  const [[event, object] = ["", new Uint8Array()]] = await events(ahead);
  const refused = decodeEnvelope(object).decode(messageShapeOf(StatusAnswer));
  expect([event, refused]).toMatchObject(["ERROR", { reason: "Timeout", code: 504 }]);
});

/** Each frame as the type of its event and the bytes of its object. All lengths here are below 2^14. */
function framesOf(bytes: Buffer): [string, Uint8Array][] {
  const frames: [string, Uint8Array][] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 + bytes.readUInt32BE(at);
    const nameEnd = at + 6 + bytes[at + 5]!;
    frames.push([bytes.toString("utf8", at + 6, nameEnd), bytes.subarray(bytes.indexOf("k8s\0", nameEnd), end)]);
    at = end;
  }
  return frames;
}

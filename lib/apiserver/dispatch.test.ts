import { beforeEach, expect, test } from "vitest";
import { type ConfigMap, catalog, configMaps, type KubernetesObject, noAccess } from "#api";
import { masters } from "#auth";
import { clone, silentLog, systemRandom } from "#base";
import { Registry, Resources, updateObject } from "#resources";
import { memoryStore } from "#store/memory";
import { handClock } from "#test/make";
import { objectAnswer } from "./answer.ts";
import { dispatch, type VerbHandler, verbHandlers } from "./dispatch.ts";
import { type ApiRequest, requestInfo } from "./request.ts";
import { defaultLimits, type Server } from "./server.ts";

const user = { name: "jane", groups: ["system:masters"] };
const path = "/api/v1/namespaces/default/configmaps/one";

/** A verb that reads no option and no body: it counts in the object. */
const count: VerbHandler["answer"] = async (call, request) => {
  const next = (current: KubernetesObject): ConfigMap => {
    const map = clone(current as ConfigMap);
    return { ...map, data: { count: String(Number(map.data?.["count"] ?? 0) + 1) } };
  };
  return objectAnswer(call, request, 200, await updateObject(call, { next, isPatch: true }));
};

let resources: Resources;
let admitted: { dryRun: boolean; fieldManager: string }[];
let uid: string;
beforeEach(async () => {
  admitted = [];
  resources = new Resources({
    store: memoryStore(),
    registry: new Registry(catalog),
    clock: handClock(),
    random: systemRandom,
    log: silentLog,
    admission: [{ name: "Recorder", mutate: (request) => void admitted.push(request) }],
  });
  const made = await resources.client(user).create(configMaps, { metadata: { namespace: "default", name: "one" } });
  uid = made.metadata.uid!;
  admitted = [];
});

/** Sends a request to a server whose handler of `verb` is `count`. */
function send(verb: "update" | "delete", query: string, options: object = {}) {
  const server: Server = {
    resources,
    access: noAccess,
    authenticators: [],
    authorize: masters,
    version: {} as never,
    limits: defaultLimits,
    load: { inFlight: 0, watches: 0 },
  };
  const request: ApiRequest = {
    method: verb === "update" ? "PUT" : "DELETE",
    path,
    query: new URLSearchParams(query),
    headers: { "content-type": "application/json", "user-agent": "tool/v1 (linux)" },
    body: async () => Buffer.from(JSON.stringify(options)),
    signal: new AbortController().signal,
  };
  const own = { ...verbHandlers[verb]!, answer: count };
  const handlers = { ...verbHandlers, [verb]: own };
  return dispatch(server, request, { info: requestInfo(request, () => false), user, warnings: [], handlers });
}

const stored = async () =>
  (await resources.client(user).get(configMaps, { namespace: "default", name: "one" })).data?.["count"];

test("a verb that reads no options stores nothing in a dry run", async () => {
  expect((await send("update", "dryRun=All")).status).toBe(200);
  expect([admitted[0]?.dryRun, await stored()]).toEqual([true, undefined]);
  await send("update", "");
  expect([admitted[1]?.dryRun, await stored()]).toEqual([false, "1"]);
});

test("a verb that reads no options has the request's field manager, by default that of the user agent", async () => {
  await send("update", "fieldManager=me");
  await send("update", "");
  expect(admitted.map(({ fieldManager }) => fieldManager)).toEqual(["me", "tool"]);
});

test("a verb that reads no options obeys preconditions", async () => {
  const wrong = { preconditions: { uid: "another" } };
  const message = /Precondition failed: UID in precondition: another, UID in object meta: /;
  await expect(send("delete", "", wrong)).rejects.toMatchObject({
    reason: "Conflict",
    message: expect.stringMatching(message),
  });
  const old = { preconditions: { uid, resourceVersion: "1" } };
  await expect(send("delete", "", old)).rejects.toThrow("ResourceVersion in precondition: 1");
  expect(await stored()).toBeUndefined();
  await send("delete", "", { preconditions: { uid } });
  expect(await stored()).toBe("1");
});

test("options cannot be changed by a verb", async () => {
  const answer: VerbHandler["answer"] = async ({ options }) => {
    (options as { dryRun: boolean }).dryRun = false;
    return { status: 200, headers: {}, body: new Uint8Array() };
  };
  const server = { resources, limits: defaultLimits } as unknown as Server;
  const request = {
    method: "PUT",
    path,
    query: new URLSearchParams("dryRun=All"),
    headers: {},
  } as unknown as ApiRequest;
  const handlers = { ...verbHandlers, update: { options: "UpdateOptions" as const, answer } };
  const info = requestInfo(request, () => false);
  await expect(dispatch(server, request, { info, user, warnings: [], handlers })).rejects.toThrow(TypeError);
});

test("a verb with wrong options is refused before it runs", async () => {
  await expect(send("update", "dryRun=some")).rejects.toMatchObject({ reason: "Invalid" });
  await expect(send("delete", "", { propagationPolicy: "Never" })).rejects.toMatchObject({ reason: "Invalid" });
  expect(admitted).toEqual([]);
});

import { expect, test } from "vitest";
import { memoryStore } from "#store/memory";
import type { AuditEvent } from "./audit.ts";
import { bareServer } from "./testing/bare-server.ts";

function open() {
  const events: AuditEvent[] = [];
  const server = bareServer(memoryStore(), {}, (event) => events.push(event));
  return { events, ...server };
}
const secrets = "/api/v1/namespaces/default/secrets";
const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;

test("records a request as upstream does at level Metadata, and returns the id of the event", async () => {
  const { events, ask } = open();
  const body = { apiVersion: "v1", kind: "Secret", metadata: { name: "s" }, stringData: { password: "hunter2" } };
  const headers = { "user-agent": "kubectl", authorization: "Bearer token-of-mine", "x-forwarded-for": "192.0.2.1, x" };
  const made = await ask("POST", `${secrets}?fieldManager=me`, body, headers);
  expect(made.status).toBe(201);
  expect(events).toEqual([
    {
      kind: "Event",
      apiVersion: "audit.k8s.io/v1",
      level: "Metadata",
      auditID: made.headers["audit-id"],
      stage: "ResponseComplete",
      requestURI: `${secrets}?fieldManager=me`,
      verb: "create",
      user: { username: "admin", groups: ["system:masters", "system:authenticated"] },
      sourceIPs: ["192.0.2.1"],
      userAgent: "kubectl",
      objectRef: { resource: "secrets", namespace: "default", name: "s", apiVersion: "v1" },
      responseStatus: { metadata: {}, code: 201 },
      requestReceivedTimestamp: expect.stringMatching(time),
      stageTimestamp: expect.stringMatching(time),
      annotations: { "authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": "" },
    },
  ]);
  await ask("GET", secrets);
  await ask("PUT", `${secrets}/s`, "{not json: hunter2");
  await ask(
    "PATCH",
    `${secrets}/s`,
    { data: { "hunter2!": "aHVudGVyMg==" } },
    {
      "content-type": "application/merge-patch+json",
    },
  );
  expect(events.map(({ verb, responseStatus }) => [verb, responseStatus.code])).toEqual([
    ["create", 201],
    ["list", 200],
    ["update", 400],
    ["patch", 422],
  ]);
  const all = JSON.stringify(events);
  for (const hidden of ["hunter2", "aHVudGVyMg", "token-of-mine"]) expect(all).not.toContain(hidden);
});

test("records impersonated, forbidden and anonymous users", async () => {
  const { events, ask, get } = open();
  const own = await ask("GET", `${secrets}/x`, undefined, { "impersonate-user": "jane", "audit-id": "mine" });
  expect([own.status, own.headers["audit-id"]]).toEqual([403, "mine"]);
  expect(events[0]).toMatchObject({
    auditID: "mine",
    user: { username: "admin" },
    impersonatedUser: { username: "jane", groups: ["system:authenticated"] },
    objectRef: { name: "x" },
    responseStatus: { status: "Failure", reason: "Forbidden", code: 403, message: expect.stringContaining('"jane"') },
    annotations: { "authorization.k8s.io/decision": "forbid" },
  });
  await ask("GET", "/api/v1/namespaces/default/secrets/gone");
  expect(events[1]).toMatchObject({ responseStatus: { code: 404, message: 'secrets "gone" not found' } });
  const anonymous = await get("/apis", "", { headers: {}, ...({ peer: { address: "192.0.2.7" } } as object) });
  expect(anonymous.status).toBe(403);
  const user = { username: "system:anonymous", groups: ["system:unauthenticated"] };
  expect(events[2]).toMatchObject({ user, sourceIPs: ["192.0.2.7"], responseStatus: { code: 403 } });
  const unknown = await get("/apis", "", { headers: { authorization: "Bearer x" }, ...({ peer: {} } as object) });
  expect(unknown.status).toBe(401);
  expect(events[3]).toMatchObject({ user: {}, responseStatus: { code: 401 } });
  expect(events[3]).not.toHaveProperty("annotations");
  expect(events[2]).not.toHaveProperty("objectRef");
});

test("records a watch once, at its end, also when it was never read, and no health checks", async () => {
  const { events, get } = open();
  for (const path of ["/healthz", "/livez/ping", "/readyz", "/version"]) await get(path, "");
  expect(events).toEqual([]);
  const { body } = await get("/api/v1/secrets", "watch=true&timeoutSeconds=60");
  const chunks = (body as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
  expect(events).toEqual([]);
  await chunks.return?.();
  await chunks.return?.();
  expect(events).toMatchObject([{ verb: "watch", stage: "ResponseComplete", responseStatus: { code: 200 } }]);
});

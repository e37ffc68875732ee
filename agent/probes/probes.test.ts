import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { RuntimeError } from "#agent/runtime";
import type { Probe } from "#api";
import { handClock } from "#test/make";
import { type CheckTarget, check, type ProbeType, RunningProbe } from "./index.ts";

let server: Server;
let port = 0;
let received: Record<string, unknown> = {};
beforeAll(async () => {
  server = createServer((request, response) => {
    received = { url: request.url, agent: request.headers["user-agent"], custom: request.headers["x-custom"] };
    const status = Number(/\/(\d+)/.exec(request.url ?? "")?.[1] ?? 200);
    const to = /^\/to\/(.*)/.exec(request.url ?? "")?.[1];
    if (to !== undefined) response.writeHead(302, { location: to === "to" ? "/to/to" : `/${to}` }).end();
    else if (request.url === "/broken") response.writeHead(302, { location: "http://[" }).end();
    else if (request.url === "/ftp") response.writeHead(302, { location: "ftp://127.0.0.1/" }).end();
    else if (request.url === "/away") response.writeHead(301, { location: "http://elsewhere.example/" }).end();
    else if (request.url === "/endless") response.writeHead(status).write(Buffer.alloc(20 * 1024, "x"));
    else if (request.url !== "/hang") response.writeHead(status).end("body");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const target = (changes: Partial<CheckTarget> = {}): CheckTarget => ({
  container: { ports: [{ name: "web", containerPort: port }] },
  ip: "127.0.0.1",
  run: async (command) => ({
    exitCode: command[0] === "good" ? 0 : 1,
    stdout: Buffer.from("out "),
    stderr: Buffer.from("err"),
  }),
  reachable: true,
  ...changes,
});

test("HTTP checks follow status, headers, named ports and redirects, and report errors as Go does", async () => {
  const get = (path: string, more = {}, seconds = 60) =>
    check({ httpGet: { path, port: "web", ...more } }, seconds, target());
  expect(await get("/ok", { httpHeaders: [{ name: "X-Custom", value: "yes" }] })).toEqual({
    outcome: "success",
    output: "body",
  });
  expect(received).toEqual({ url: "/ok", agent: "kube-probe/1.36", custom: "yes" });
  expect(await get("/302")).toEqual({
    outcome: "warning",
    output: "Probe terminated redirects, Response body: body",
  });
  expect(await get("/500")).toEqual({ outcome: "failure", output: "HTTP probe failed with statuscode: 500" });
  // Within the host a redirect is followed (upstream's RedirectChecker), elsewhere it is not.
  expect((await get("/to/500")).output).toBe("HTTP probe failed with statuscode: 500");
  expect((await get("/away")).outcome).toBe("warning");
  expect((await get("/to/to")).output).toMatch(/stopped after 10 redirects$/);
  // net/http's client fails on these, and a request that fails is a failure (DoHTTPProbe), not an unknown result.
  expect((await get("/broken")).outcome).toBe("failure");
  expect(await get("/ftp")).toEqual({
    outcome: "failure",
    output: 'Get "ftp://127.0.0.1/": unsupported protocol scheme "ftp"',
  });
  expect((await get("/hang", {}, 1)).output).toContain("Client.Timeout exceeded while awaiting headers");
  // A body is read up to maxRespBodyLength; what follows does not delay the check (DoHTTPProbe, utilio.ReadAtMost).
  expect(await get("/endless")).toEqual({ outcome: "success", output: "x".repeat(10 * 1024) });
  expect(await check({ httpGet: { port: "other" } }, 1, target())).toEqual({
    outcome: "unknown",
    output: `couldn't find port: "other"`,
  });
  const refused = await check({ httpGet: { port: 1, path: "/x" } }, 1, target());
  expect(refused.output).toBe('Get "http://127.0.0.1:1/x": dial tcp 127.0.0.1:1: connect: connection refused');
});

// net/http (Go 1.26) accepts each of them.
test("HTTP checks accept responses whose lines end without a carriage return", async () => {
  const plain = createTcpServer((socket) => {
    socket.once("data", (request) => {
      const cgi = request.toString().startsWith("GET /cgi ");
      const head = cgi ? "HTTP/1.1 200 OK\r\nContent-Type: text/plain" : "HTTP/1.1 200 OK\nContent-Length: 4";
      socket.end(`${head}\n\nbody`);
    });
  });
  await new Promise<void>((resolve) => plain.listen(0, "127.0.0.1", resolve));
  const { port: at } = plain.address() as AddressInfo;
  for (const path of ["/plain", "/cgi"]) {
    const result = await check({ httpGet: { port: at, path } }, 60, target());
    expect(result).toMatchObject({ outcome: "success" });
  }
  await new Promise((resolve) => plain.close(resolve));
});

test("TCP and exec checks report their outcome and upstream's output", async () => {
  expect((await check({ tcpSocket: { port } }, 1, target())).outcome).toBe("success");
  expect(await check({ tcpSocket: { port: 1 } }, 1, target())).toEqual({
    outcome: "failure",
    output: "dial tcp 127.0.0.1:1: connect: connection refused",
  });
  expect(await check({ exec: { command: ["good"] } }, 1, target())).toEqual({ outcome: "success", output: "out err" });
  expect((await check({ exec: { command: ["bad"] } }, 1, target())).outcome).toBe("failure");
  const slow = target({
    run: async () => {
      throw new RuntimeError("timeout", "too long");
    },
  });
  expect((await check({ exec: { command: ["a", "b"] } }, 2, slow)).output).toBe(
    'command timed out: "a b" timed out after 2s',
  );
  const down = target({
    run: async () => {
      throw new RuntimeError("unavailable", "connection refused");
    },
  });
  expect(await check({ exec: { command: ["a"] } }, 1, down)).toEqual({
    outcome: "unknown",
    output: "connection refused",
  });
  expect((await check({ tcpSocket: { port: 1 } }, 1, target({ reachable: false }))).outcome).toBe("success");
  expect(await check({}, 1, target())).toEqual({ outcome: "unknown", output: "missing probe handler" });
});

interface HealthRequest {
  service: string;
}

/** grpc.health.v1.Health over the named services; `hang` never answers. */
async function healthServer(implemented = true): Promise<{ port: number; seen: string[]; stop(): void }> {
  const seen: string[] = [];
  const health = new grpc.Server();
  const answers: Record<string, number> = { "": 1, web: 1, sick: 2, odd: 0 };
  const definition = {
    path: "/grpc.health.v1.Health/Check",
    requestStream: false,
    responseStream: false,
    requestSerialize: ({ service }: HealthRequest) => Buffer.from(service),
    requestDeserialize: (bytes: Buffer): HealthRequest => ({ service: bytes.subarray(2).toString() }),
    responseSerialize: (status: number) => Buffer.from([8, status]),
    responseDeserialize: (bytes: Buffer) => bytes[1] ?? 0,
  };
  const Check: grpc.handleUnaryCall<HealthRequest, number> = ({ request: { service }, metadata }, answer) => {
    seen.push(`${service} ${metadata.get("user-agent")[0]?.toString().split(" ")[0]}`);
    const status = answers[service];
    if (status !== undefined) answer(null, status);
    else if (service !== "hang") answer({ code: grpc.status.NOT_FOUND, details: "unknown service" });
  };
  if (implemented) health.addService({ Check: definition }, { Check });
  const bound = await new Promise<number>((resolve, reject) =>
    health.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, number) =>
      error ? reject(error) : resolve(number),
    ),
  );
  return { port: bound, seen, stop: () => health.forceShutdown() };
}

// Texts of upstream's pkg/probe/grpc, v1.37.2.
test("gRPC checks call the health service, by name if one is given", async () => {
  const health = await healthServer();
  const checkHealth = (service?: string, number = health.port) =>
    check({ grpc: { port: number, ...(service === undefined ? {} : { service }) } }, 1, target());
  expect(await checkHealth()).toEqual({ outcome: "success", output: "service healthy" });
  expect(await checkHealth("web")).toEqual({ outcome: "success", output: "service healthy" });
  expect(health.seen).toEqual([" kube-probe/1.36", "web kube-probe/1.36"]);
  expect(await checkHealth("sick")).toEqual({
    outcome: "failure",
    output: 'service unhealthy (responded with "NOT_SERVING")',
  });
  expect((await checkHealth("odd")).output).toBe('service unhealthy (responded with "UNKNOWN")');
  expect((await checkHealth("absent")).output).toBe(
    "error: health rpc probe failed: rpc error: code = NotFound desc = unknown service",
  );
  expect((await checkHealth("hang")).output).toBe("timeout: health rpc did not complete within 1s");
  expect(await checkHealth("", 1)).toEqual({
    outcome: "failure",
    output: 'timeout: failed to connect service "127.0.0.1:1" within 1s: context deadline exceeded',
  });
  health.stop();
  const other = await healthServer(false);
  expect((await checkHealth("", other.port)).output).toMatch(
    /^error: this server does not implement the grpc health protocol \(grpc\.health\.v1\.Health\): /,
  );
  other.stop();
  expect((await check({ grpc: { port: 1 } }, 1, target({ reachable: false }))).outcome).toBe("success");
});

function probing(type: ProbeType, probe: Probe, initial?: boolean) {
  const clock = handClock();
  const state = {
    ok: true as boolean | undefined,
    active: true,
    checks: 0,
    failures: [] as string[],
    changes: [] as boolean[],
    crashes: [] as unknown[],
    fault: undefined as Error | undefined,
  };
  const running = new RunningProbe({
    type,
    probe,
    startedAt: 0,
    initial,
    clock,
    random: { bytes: (length) => new Uint8Array(length), fraction: () => 0.5 },
    check: async () => {
      state.checks++;
      if (state.fault) throw state.fault;
      const outcome = state.ok === undefined ? "unknown" : state.ok ? "success" : "failure";
      return { outcome, output: state.ok ? "" : "why" };
    },
    active: () => state.active,
    reported: ({ output }) => state.failures.push(output),
    crashed: (error) => state.crashes.push(error),
    changed: (result) => state.changes.push(result),
  });
  return { state, forward: clock.forward, running, clock };
}

test("a readiness probe follows its delay, period and both thresholds", async () => {
  const probe = { initialDelaySeconds: 5, periodSeconds: 2, successThreshold: 2, failureThreshold: 3 };
  const { state, forward, running, clock } = probing("Readiness", probe);
  expect(running.result).toBe(false);
  await forward(4999);
  expect(state.checks).toBe(0);
  await forward(1);
  expect(state).toMatchObject({ checks: 1, changes: [] });
  await forward(2000);
  expect(state.changes).toEqual([true]);
  state.ok = false;
  await forward(4000);
  expect(state).toMatchObject({ changes: [true], failures: ["why", "why"] });
  await forward(2000);
  expect(state.changes).toEqual([true, false]);
  running.stop();
  expect(clock.timers).toBe(0);
});

test("a liveness probe waits while it is suspended and ends when it has failed; a startup probe ends when it has succeeded", async () => {
  const liveness = probing("Liveness", { periodSeconds: 1, failureThreshold: 2 });
  liveness.state.active = false;
  await liveness.forward(5000);
  expect(liveness.state.checks).toBe(0);
  expect(liveness.running.result).toBe(true);
  Object.assign(liveness.state, { active: true, ok: false });
  await liveness.forward(5000);
  expect(liveness.state).toMatchObject({ checks: 2, changes: [false] });
  const startup = probing("Startup", { periodSeconds: 1, failureThreshold: 30 });
  expect(startup.running.result).toBeUndefined();
  startup.state.ok = false;
  await startup.forward(3000);
  startup.state.ok = true;
  await startup.forward(5000);
  expect(startup.state).toMatchObject({ checks: 5, changes: [true] });
});

test("a container that already runs keeps its result and is checked within a period", async () => {
  const { state, forward, running } = probing("Readiness", { periodSeconds: 10 }, true);
  expect(running.result).toBe(true);
  await forward(4999);
  expect(state.checks).toBe(0);
  await forward(1);
  expect(state).toMatchObject({ checks: 1, changes: [] });
});

test("a check that cannot be run is tried three times and does not count", async () => {
  const { state, forward, running } = probing("Liveness", { periodSeconds: 1, failureThreshold: 2 });
  state.ok = false;
  await forward(0);
  state.ok = undefined;
  await forward(10_000);
  // It is reported once a period, after upstream's maxProbeRetries.
  expect(state).toMatchObject({ checks: 31, changes: [] });
  expect(state.failures.length).toBe(11);
  expect(running.result).toBe(true);
  state.ok = false;
  await forward(1000);
  expect(state.changes).toEqual([false]);
});

test("an unexpected error of a check ends neither the probe nor the process", async () => {
  const { state, forward, running } = probing("Readiness", { periodSeconds: 1 });
  state.fault = new Error("a fault");
  await forward(2000);
  expect(state.crashes.length).toBe(3);
  state.fault = undefined;
  await forward(1000);
  expect(state.changes).toEqual([true]);
  running.stop();
});

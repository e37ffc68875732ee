import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { RuntimeError } from "#agent/runtime";
import type { Probe } from "#api";
import type { Clock } from "#base";
import { type CheckTarget, check, type ProbeType, runProbe } from "./index.ts";

let server: Server;
let port = 0;
let seen: Record<string, unknown> = {};
beforeAll(async () => {
  server = createServer((request, response) => {
    seen = { url: request.url, agent: request.headers["user-agent"], custom: request.headers["x-custom"] };
    const status = Number(/\/(\d+)/.exec(request.url ?? "")?.[1] ?? 200);
    if (request.url !== "/hang") response.writeHead(status).end("body");
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

test("HTTP: status, headers, named ports, what goes wrong", async () => {
  const get = (path: string, more = {}) => check({ httpGet: { path, port: "web", ...more } }, 1, target());
  expect(await get("/ok", { httpHeaders: [{ name: "X-Custom", value: "yes" }] })).toEqual({ ok: true, output: "body" });
  expect(seen).toEqual({ url: "/ok", agent: "kube-probe/1.36", custom: "yes" });
  expect((await get("/302")).ok).toBe(true);
  expect(await get("/500")).toEqual({ ok: false, output: "HTTP probe failed with statuscode: 500" });
  expect((await get("/hang")).output).toContain("Client.Timeout exceeded while awaiting headers");
  expect((await check({ httpGet: { port: "other" } }, 1, target())).output).toBe(`couldn't find port: "other"`);
  const refused = await check({ httpGet: { port: 1, path: "/x" } }, 1, target());
  expect(refused.output).toBe('Get "http://127.0.0.1:1/x": dial tcp 127.0.0.1:1: connect: connection refused');
});

test("TCP, exec, and what is refused by name", async () => {
  expect((await check({ tcpSocket: { port } }, 1, target())).ok).toBe(true);
  expect(await check({ tcpSocket: { port: 1 } }, 1, target())).toEqual({
    ok: false,
    output: "dial tcp 127.0.0.1:1: connect: connection refused",
  });
  expect(await check({ exec: { command: ["good"] } }, 1, target())).toEqual({ ok: true, output: "out err" });
  expect((await check({ exec: { command: ["bad"] } }, 1, target())).ok).toBe(false);
  const slow = target({
    run: async () => {
      throw new RuntimeError("timeout", "too long");
    },
  });
  expect((await check({ exec: { command: ["a", "b"] } }, 2, slow)).output).toBe(
    'command timed out: "a b" timed out after 2s',
  );
  expect((await check({ grpc: { port: 1 } }, 1, target())).output).toContain("gRPC probes are not supported");
  expect((await check({ tcpSocket: { port: 1 } }, 1, target({ reachable: false }))).ok).toBe(true);
});

/** A clock whose timers run when the test says so. */
function handClock() {
  let now = 0;
  const timers = new Set<{ at: number; run: () => void }>();
  const clock: Clock = {
    now: () => now,
    timer: (milliseconds, run) => {
      const timer = { at: now + milliseconds, run };
      timers.add(timer);
      return { cancel: () => timers.delete(timer) };
    },
  };
  const forward = async (milliseconds: number): Promise<void> => {
    const end = now + milliseconds;
    for (;;) {
      const [first] = [...timers].sort((a, b) => a.at - b.at);
      if (!first || first.at > end) break;
      now = first.at;
      timers.delete(first);
      first.run();
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    }
    now = end;
  };
  return { clock, forward, timers };
}

function probing(type: ProbeType, probe: Probe, initial?: boolean) {
  const { clock, forward, timers } = handClock();
  const state = { ok: true, active: true, checks: 0, failures: [] as string[], changes: [] as boolean[] };
  const running = runProbe({
    type,
    probe,
    startedAt: 0,
    initial,
    clock,
    random: { bytes: (length) => new Uint8Array(length), fraction: () => 0.5 },
    check: async () => {
      state.checks++;
      return { ok: state.ok, output: state.ok ? "" : "why" };
    },
    active: () => state.active,
    failed: (output) => state.failures.push(output),
    changed: (result) => state.changes.push(result),
  });
  return { state, forward, running, timers };
}

test("readiness: delay, period, thresholds both ways", async () => {
  const probe = { initialDelaySeconds: 5, periodSeconds: 2, successThreshold: 2, failureThreshold: 3 };
  const { state, forward, running, timers } = probing("Readiness", probe);
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
  expect(timers.size).toBe(0);
});

test("liveness waits while it is held back, ends with its failure; startup ends with its success", async () => {
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

test("a container that was found running keeps its result and is checked within a period", async () => {
  const { state, forward, running } = probing("Readiness", { periodSeconds: 10 }, true);
  expect(running.result).toBe(true);
  await forward(4999);
  expect(state.checks).toBe(0);
  await forward(1);
  expect(state).toMatchObject({ checks: 1, changes: [] });
});

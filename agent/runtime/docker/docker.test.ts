import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isRuntimeError } from "#agent/runtime";
import { plainContainer, plainSandbox } from "#agent/runtime/testing";
import { silentLog, systemClock } from "#base";
import { containerBody, refuseUnsupported } from "./convert.ts";
import { defaultSocket } from "./endpoint.ts";
import { Engine } from "./engine.ts";
import { frameSplitter } from "./frames.ts";
import { containerView, type Details, type Item } from "./items.ts";
import { entrySplitter } from "./log-entries.ts";
import { LogFiles } from "./log-files.ts";

const frame = (type: number, text: string): Buffer => {
  const head = Buffer.alloc(8);
  head[0] = type;
  head.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([head, Buffer.from(text)]);
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "skiff-docker-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test("splits multiplexed output wherever the chunks end", () => {
  const bytes = Buffer.concat([frame(1, "one\n"), frame(2, "two\n"), frame(1, "")]);
  for (let at = 0; at <= bytes.length; at++) {
    const split = frameSplitter();
    const frames = [...split(bytes.subarray(0, at)), ...split(bytes.subarray(at))];
    expect(frames.map(({ stream, bytes: text }) => `${stream} ${text}`)).toEqual([
      "stdout one\n",
      "stderr two\n",
      "stdout ",
    ]);
  }
});

test("writes entries in the CRI's format, with parts of long lines and any offset of the time", () => {
  const entries = entrySplitter(false)(
    Buffer.concat([
      frame(1, "2026-01-02T03:04:05.000000006Z part"),
      frame(2, "2026-01-02T05:04:05.5+02:00 whole\n"),
      frame(1, "2026-01-02T03:04:05Z \n"),
    ]),
  );
  expect(entries.map(({ line }) => line.toString())).toEqual([
    "2026-01-02T03:04:05.000000006Z stdout P part\n",
    "2026-01-02T03:04:05.500000000Z stderr F whole\n",
    "2026-01-02T03:04:05.000000000Z stdout F \n",
  ]);
  const lines = entrySplitter(true)(Buffer.from("2026-01-02T03:04:05.1Z a\r\n2026-01-02T03:04:05.2Z b"));
  expect(lines.map(({ line }) => line.toString())).toEqual(["2026-01-02T03:04:05.100000000Z stdout F a\r\n"]);
});

/** An engine of one ended container with this output. */
async function engineWith(output: Buffer, path: string): Promise<{ server: Server; engine: Engine }> {
  const socket = join(folder, "engine.sock");
  const details = {
    State: { Status: "exited", Running: false },
    Config: { Tty: false, Labels: { "io.kubernetes.container.logpath": path } },
  };
  const server = createServer((request, response) => {
    if (request.url === "/version") response.end(JSON.stringify({ Version: "1", ApiVersion: "1.41" }));
    else if (request.url?.startsWith("/v1.41/containers/one/logs")) response.end(output);
    else if (request.url === "/v1.41/containers/one/json") response.end(JSON.stringify(details));
    else response.writeHead(404).end(JSON.stringify({ message: "no such container" }));
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  return { server, engine: new Engine(socket) };
}

test("goes on behind the last whole entry of a log file, also with equal times", async () => {
  const at = (nanoseconds: number) => `2026-01-02T03:04:05.00000000${nanoseconds}Z`;
  const path = join(folder, "0.log");
  // Two entries of one time, and a third of which a crash wrote a part.
  const before = `${at(1)} stdout F a\n${at(2)} stdout F b\n${at(2)} stdout F c\n`;
  await writeFile(path, `${before}${at(2)} stdo`);
  const output = [`${at(1)} a\n`, `${at(2)} b\n`, `${at(2)} c\n`, `${at(2)} d\n`, `${at(3)} e\n`];
  const { server, engine } = await engineWith(Buffer.concat(output.map((text) => frame(1, text))), path);
  const files = { engine, clock: systemClock, log: silentLog, limits: { maxBytes: 1 << 20, maxFiles: 2 } };
  for (let start = 0; start < 2; start++) {
    const logs = new LogFiles(files);
    await logs.caughtUp("one");
    expect(await logs.isComplete("one")).toBe(true);
    expect(await readFile(path, "utf8")).toBe(`${before}${at(2)} stdout F d\n${at(3)} stdout F e\n`);
    logs.close();
  }
  await expect(engine.json("GET", "/containers/other/json")).rejects.toSatisfy((error) =>
    isRuntimeError(error, "notFound"),
  );
  server.close();
});

test("reports a container that could not be started as ended, with the engine's message", () => {
  // Seen with dockerd 20.10.24: the state is created, and no time is set.
  const item = { Id: "a", Names: [], ImageID: "", Created: 10, State: "created", Labels: {} } satisfies Item;
  const details = (ExitCode: number, error: string): Details => ({
    ...{ Id: "a", Name: "a", Created: "2026-01-02T03:04:05Z", Image: "" },
    State: {
      ...{ Status: "created", Running: false, OOMKilled: false, Pid: 0, ExitCode, Error: error },
      ...{ StartedAt: "0001-01-01T00:00:00Z", FinishedAt: "0001-01-01T00:00:00Z" },
    },
    Config: { Tty: false, Labels: {} },
  });
  // cri-dockerd's ContainerStatus.
  expect(containerView(item, details(127, "no such file"), "")).toMatchObject({
    ...{ state: "exited", exitCode: 127, reason: "ContainerCannotRun", message: "no such file" },
  });
  expect(containerView(item, details(0, ""), "").state).toBe("created");
});

test("refuses by name what the engine does not have", async () => {
  const sandbox = plainSandbox({ name: "a", namespace: "b", uid: "c", logDirectory: "/logs" });
  const refused = (word: RegExp) => (error: unknown) =>
    isRuntimeError(error, "unsupported") && word.test((error as Error).message);
  expect(() => refuseUnsupported({ ...sandbox, handler: "gvisor" })).toThrow(/gvisor/);
  expect(() => refuseUnsupported({ ...sandbox, host: { ...sandbox.host, users: false } })).toThrow(/user namespaces/);
  const plain = plainContainer({ image: "i", imageId: "i" });
  const around = {
    ...{ owner: "o", sandboxImage: "", mayLowerOomScore: true },
    engine: { name: "docker", version: "20.10", path: "v1.41" } as const,
  };
  const body = (container: typeof plain) => containerBody({ sandboxId: "s", sandbox, container }, around);
  const mount = { hostPath: "/a", containerPath: "/b", readOnly: true, propagation: "private" } as const;
  await expect(body({ ...plain, mounts: [{ ...mount, recursiveReadOnly: true }] })).rejects.toSatisfy(
    refused(/recursive read-only/),
  );
  const security = { ...plain.security, supplementalGroupsPolicy: "Strict" } as const;
  await expect(body({ ...plain, security })).rejects.toSatisfy(refused(/Strict/));
  const missing = { type: "Localhost", localhost: join(folder, "none.json") } as const;
  await expect(body({ ...plain, security: { ...plain.security, seccomp: missing } })).rejects.toThrow(
    /cannot load seccomp profile/,
  );
});

test("takes the socket from DOCKER_HOST and refuses the engine of another machine", () => {
  expect(defaultSocket({})).toBe("/var/run/docker.sock");
  expect(defaultSocket({ DOCKER_HOST: "unix:///run/podman.sock" })).toBe("/run/podman.sock");
  expect(() => defaultSocket({ DOCKER_HOST: "tcp://10.0.0.1:2375" })).toThrow(/tcp:\/\/10\.0\.0\.1:2375/);
});

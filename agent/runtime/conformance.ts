import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type Container,
  type ContainerSpec,
  isRuntimeError,
  type LogOptions,
  type Runtime,
  type Sandbox,
  type SandboxSpec,
} from "./index.ts";
import { plainContainer, plainSandbox } from "./testing/index.ts";

export interface ConformanceSetting {
  runtime: Runtime;
  /** An image with sh, echo, cat, sleep, env, hostname, pwd, seq, nc and tar, which a pull finds. */
  image: string;
  /** An image that no registry has. */
  missingImage: string;
  /** Where pods belong in the cgroup tree, where the driver has one. */
  cgroupParent?: string;
  /** The same runtime as a restarted agent would open it; absent for drivers that live in the process. */
  reopen?: () => Promise<Runtime>;
  close: () => Promise<void>;
}

/** The contract of the runtime port. Every driver passes these tests, in its own file. */
export function runtimeConformance(name: string, open: () => Promise<ConformanceSetting>): void {
  describe(`runtime conformance: ${name}`, () => {
    let setting: ConformanceSetting;
    let runtime: Runtime;
    let folder = "";
    let imageId = "";
    let serial = 0;

    beforeAll(async () => {
      setting = await open();
      runtime = setting.runtime;
      folder = await mkdtemp(join(tmpdir(), "skiff-runtime-"));
      imageId = (await runtime.images.pull(setting.image)).id;
    });
    afterAll(async () => {
      for (const sandbox of await runtime.pods.list()) {
        if (sandbox.namespace === "conformance") await runtime.pods.removeSandbox(sandbox.id);
      }
      await setting.close();
      await rm(folder, { recursive: true, force: true });
    });

    const sandboxSpec = (changes: Partial<SandboxSpec> = {}): SandboxSpec => {
      const uid = `00000000-0000-4000-8000-${String(++serial).padStart(12, "0")}`;
      const { cgroupParent } = setting;
      return plainSandbox({
        name: `pod-${serial}`,
        namespace: "conformance",
        uid,
        hostname: `host-${serial}`,
        ...(cgroupParent === undefined ? {} : { cgroupParent: `${cgroupParent}/pod${uid}` }),
        logDirectory: join(folder, uid),
        labels: { "pod-label": "yes" },
        annotations: { "pod-note": "kept as it is, with spaces" },
        ...changes,
      });
    };
    const containerSpec = (command: string[], changes: Partial<ContainerSpec> = {}): ContainerSpec =>
      plainContainer({
        image: setting.image,
        imageId,
        command,
        labels: { "container-label": "yes" },
        annotations: { "container-note": "kept" },
        ...changes,
      });
    const runPod = async (command: string[], changes: Partial<ContainerSpec> = {}, pod: Partial<SandboxSpec> = {}) => {
      const spec = sandboxSpec(pod);
      const sandbox = await runtime.pods.runSandbox(spec);
      const container = containerSpec(command, changes);
      const id = await runtime.pods.startContainer({ sandboxId: sandbox.id, sandbox: spec, container });
      return { spec, sandbox, id, container };
    };
    const find = async (uid: string): Promise<Sandbox | undefined> => (await runtime.pods.list({ uid }))[0];
    const containerOf = async (uid: string, id: string): Promise<Container | undefined> =>
      (await find(uid))?.containers.find((container) => container.id === id);
    const until = async <T>(look: () => Promise<T | undefined | false>): Promise<T> => {
      for (;;) {
        const found = await look();
        if (found) return found;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    const exited = (uid: string, id: string): Promise<Container> =>
      until(async () => {
        const container = await containerOf(uid, id);
        return container?.state === "exited" && container;
      });
    const logs = async (id: string, options: LogOptions = {}): Promise<string> => {
      const parts: Uint8Array[] = [];
      for await (const part of runtime.streams.logs(id, options)) parts.push(part);
      return Buffer.concat(parts).toString();
    };

    test("it says what it is and that it is ready", async () => {
      const info = await runtime.info();
      expect(info.name).not.toBe("");
      expect(info.version).not.toBe("");
      expect(info.conditions.map(({ type, status }) => `${type}=${status}`).sort()).toEqual([
        "NetworkReady=true",
        "RuntimeReady=true",
      ]);
    });

    test("a sandbox is made once, found again, stopped and removed, each as often as asked", async () => {
      const spec = sandboxSpec();
      const first = await runtime.pods.runSandbox(spec);
      const again = await runtime.pods.runSandbox(spec);
      expect(again.id).toBe(first.id);
      const found = await find(spec.uid);
      expect(found).toMatchObject({
        id: first.id,
        name: spec.name,
        namespace: "conformance",
        uid: spec.uid,
        attempt: 0,
        state: "ready",
        labels: spec.labels,
        annotations: spec.annotations,
        containers: [],
      });
      expect(found!.ips).toEqual(first.ips);
      if ((await runtime.info()).features.podNetwork) expect(first.ips[0]).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
      await runtime.pods.stopSandbox(first.id);
      await runtime.pods.stopSandbox(first.id);
      expect(await find(spec.uid)).toMatchObject({ state: "notReady" });
      const other = await runtime.pods.runSandbox(sandboxSpec());
      if ((await runtime.info()).features.podNetwork) expect(other.ips[0]).not.toBe(first.ips[0]);
      const next = await runtime.pods.runSandbox({ ...spec, attempt: 1 });
      expect(next.id).not.toBe(first.id);
      for (const id of [first.id, next.id, first.id]) await runtime.pods.removeSandbox(id);
      await runtime.pods.stopSandbox(first.id);
      expect(await find(spec.uid)).toBeUndefined();
    });

    test("images are found after a pull; what no registry has is said so", async () => {
      const found = await runtime.images.find(setting.image);
      expect(found?.id).toBe(imageId);
      expect((await runtime.images.list()).some((image) => image.id === imageId)).toBe(true);
      expect(await runtime.images.find(setting.missingImage)).toBeUndefined();
      await expect(runtime.images.pull(setting.missingImage)).rejects.toSatisfy(
        (error) => isRuntimeError(error, "notFound") || isRuntimeError(error, "registry"),
      );
    });

    test("a container runs to its end and says how it ended", async () => {
      const { spec, id } = await runPod(["sh", "-c", "echo out; echo err >&2; exit 3"]);
      const ended = await exited(spec.uid, id);
      expect(ended).toMatchObject({
        name: "main",
        attempt: 0,
        exitCode: 3,
        reason: "Error",
        image: setting.image,
        labels: { "container-label": "yes" },
        annotations: { "container-note": "kept" },
      });
      expect(ended.startedAt).toBeGreaterThan(0);
      // Start and end are noted by different processes: a container that ends at once may seem to end first.
      expect(ended.finishedAt! - ended.startedAt!).toBeGreaterThan(-1000);
      expect(await logs(id)).toMatch(/^(out\nerr\n|err\nout\n)$/);
      expect(await logs(id, { stream: "stderr" })).toBe("err\n");
    });

    test("the same start is one container; the next attempt is another, and the first one's log stays", async () => {
      const { spec, sandbox, id, container } = await runPod(["echo", "first"]);
      await exited(spec.uid, id);
      const start = { sandboxId: sandbox.id, sandbox: spec };
      expect(await runtime.pods.startContainer({ ...start, container })).toBe(id);
      const second = containerSpec(["echo", "second"], { attempt: 1 });
      const secondId = await runtime.pods.startContainer({ ...start, container: second });
      expect(secondId).not.toBe(id);
      expect(await exited(spec.uid, secondId)).toMatchObject({ attempt: 1, exitCode: 0, reason: "Completed" });
      expect(await logs(id)).toBe("first\n");
      expect(await logs(secondId)).toBe("second\n");
      await runtime.pods.removeContainer(id);
      await runtime.pods.removeContainer(id);
      expect((await find(spec.uid))?.containers.map((one) => one.id)).toEqual([secondId]);
    });

    test("a stop ends it within its grace, twice does no harm, removing a running one kills it", async () => {
      const { spec, sandbox, id } = await runPod(["sleep", "1000"]);
      expect(await containerOf(spec.uid, id)).toMatchObject({ state: "running" });
      await runtime.pods.stopContainer(id, 1);
      const ended = await containerOf(spec.uid, id);
      expect(ended?.state).toBe("exited");
      expect(ended?.exitCode).not.toBe(0);
      await runtime.pods.stopContainer(id, 1);
      const container = containerSpec(["sleep", "1000"], { name: "other" });
      const other = await runtime.pods.startContainer({ sandboxId: sandbox.id, sandbox: spec, container });
      await runtime.pods.removeContainer(other);
      expect(await containerOf(spec.uid, other)).toBeUndefined();
      const killed = containerSpec(["sleep", "1000"], { name: "killed" });
      const killedId = await runtime.pods.startContainer({ sandboxId: sandbox.id, sandbox: spec, container: killed });
      await runtime.pods.stopContainer(killedId, 0);
      expect(await containerOf(spec.uid, killedId)).toMatchObject({ state: "exited", exitCode: 137 });
    });

    test("stopping a sandbox ends its containers; they stay listed with their logs", async () => {
      const { spec, sandbox, id } = await runPod(["sh", "-c", "echo here; sleep 1000"]);
      await until(async () => (await logs(id)) === "here\n");
      await runtime.pods.stopSandbox(sandbox.id);
      expect(await containerOf(spec.uid, id)).toMatchObject({ state: "exited" });
      expect(await logs(id)).toBe("here\n");
    });

    test("environment, working directory, host name and mounts reach the process", async () => {
      const data = await mkdtemp(join(folder, "data-"));
      await writeFile(join(data, "in"), "from outside\n");
      const script =
        'echo "$GREETING"; hostname; pwd; cat /data/in; echo inside > /data/out; echo no > /fixed/x || echo refused';
      const { spec, id } = await runPod(["sh", "-c", script], {
        env: [{ name: "GREETING", value: "hello = $world" }],
        workingDirectory: "/data",
        mounts: [
          { hostPath: data, containerPath: "/data", ...plain },
          { hostPath: data, containerPath: "/fixed", ...plain, readOnly: true },
        ],
      });
      await exited(spec.uid, id);
      expect(await logs(id, { stream: "stdout" })).toBe(
        `hello = $world\n${spec.hostname}\n/data\nfrom outside\nrefused\n`,
      );
      expect(await readFile(join(data, "out"), "utf8")).toBe("inside\n");
    });

    test("logs: tail, times, limits, following to the end", async () => {
      const { spec, id } = await runPod(["sh", "-c", "seq 1 5; sleep 0.2; echo late"]);
      expect(await logs(id, { follow: true })).toBe("1\n2\n3\n4\n5\nlate\n");
      await exited(spec.uid, id);
      expect(await logs(id, { tailLines: 2 })).toBe("5\nlate\n");
      expect(await logs(id, { tailLines: 0 })).toBe("");
      expect(await logs(id, { limitBytes: 3 })).toBe("1\n2");
      expect(await logs(id, { tailLines: 1, timestamps: true })).toMatch(/^\d{4}-\d\d-\d\dT[\d:]+\.\d+\S* late\n$/);
      expect(await logs(id, { since: Date.now() + 3_600_000 })).toBe("");
      const stop = new AbortController();
      const running = await runPod(["sh", "-c", "echo one; sleep 1000"]);
      for await (const part of runtime.streams.logs(running.id, { follow: true, signal: stop.signal })) {
        expect(Buffer.from(part).toString()).toBe("one\n");
        stop.abort();
      }
    });

    test("a command in a container: output, exit code, time limit", async () => {
      const { id } = await runPod(["sleep", "1000"], { env: [{ name: "COLOUR", value: "blue" }] });
      const result = await runtime.streams.run(id, ["sh", "-c", "echo $COLOUR; echo bad >&2; exit 7"], 60);
      expect(result.exitCode).toBe(7);
      expect(Buffer.from(result.stdout).toString()).toBe("blue\n");
      expect(Buffer.from(result.stderr).toString()).toBe("bad\n");
      await expect(runtime.streams.run(id, ["sleep", "1000"], 1)).rejects.toSatisfy((error) =>
        isRuntimeError(error, "timeout"),
      );
    });

    test("exec: stdin to its end, both outputs, the exit code", async () => {
      const { id } = await runPod(["sleep", "1000"]);
      const session = await runtime.streams.exec({
        containerId: id,
        command: ["sh", "-c", "cat; echo done >&2; exit 4"],
        stdin: true,
        stdout: true,
        stderr: true,
        tty: false,
      });
      const payload = `${"0123456789abcdef".repeat(16 * 1024)}\n`;
      session.stdin!.end(payload);
      const [out, err] = await Promise.all([text(session.stdout!), text(session.stderr!)]);
      expect(out === payload).toBe(true);
      expect(err).toBe("done\n");
      expect(await session.done).toEqual({ exitCode: 4 });
    });

    test("exec with a terminal: one output, and its size may change", async () => {
      const { id } = await runPod(["sleep", "1000"]);
      const session = await runtime.streams.exec({
        containerId: id,
        command: ["sh", "-c", "echo out; echo err >&2"],
        stdin: true,
        stdout: true,
        stderr: false,
        tty: true,
      });
      session.resize({ width: 120, height: 40 });
      expect(session.stderr).toBeUndefined();
      expect((await text(session.stdout!)).replaceAll("\r", "")).toBe("out\nerr\n");
      expect(await session.done).toEqual({ exitCode: 0 });
    });

    test("attach: the first process's own streams", async () => {
      const { spec, id } = await runPod(["cat"], { stdin: true, stdinOnce: true });
      const session = await runtime.streams.attach({
        containerId: id,
        stdin: true,
        stdout: true,
        stderr: true,
        tty: false,
      });
      session.stderr!.resume();
      session.stdin!.end("through and back\n");
      expect(await text(session.stdout!)).toBe("through and back\n");
      await session.done;
      expect(await exited(spec.uid, id)).toMatchObject({ exitCode: 0 });
    });

    test("port-forward: bytes both ways; a port where nobody listens is refused", async () => {
      const { sandbox } = await runPod(["nc", "-ll", "-p", "8080", "-e", "/bin/cat"]);
      const answer = await until(async () => {
        try {
          const socket = await runtime.streams.forward(sandbox.id, 8080);
          socket.end("ping");
          return await text(socket);
        } catch {
          return undefined;
        }
      });
      expect(answer).toBe("ping");
      const refused = async () => {
        const socket = await runtime.streams.forward(sandbox.id, 8081);
        socket.end("ping");
        await text(socket);
      };
      await expect(refused()).rejects.toThrow();
    });

    test("changes name the pods that changed, those that are there first", async () => {
      const before = await runPod(["sleep", "1000"]);
      const stop = new AbortController();
      const seen: string[] = [];
      const watching = (async () => {
        for await (const uid of runtime.changes(stop.signal)) seen.push(uid);
      })();
      await until(async () => seen.includes(before.spec.uid));
      const after = await runPod(["sleep", "0.1"]);
      await exited(after.spec.uid, after.id);
      await until(async () => seen.includes(after.spec.uid));
      await new Promise((resolve) => setTimeout(resolve, 50));
      seen.length = 0;
      await runtime.pods.stopContainer(before.id, 0);
      await until(async () => seen.includes(before.spec.uid));
      stop.abort();
      await watching;
    });

    test("statistics name each running container", async () => {
      const { spec, id } = await runPod(["sleep", "1000"]);
      const found = await until(async () => {
        const [pod] = await runtime.streams.stats({ uid: spec.uid });
        return pod?.containers.some((one) => one.memoryWorkingSetBytes !== undefined) && pod;
      });
      expect(found).toMatchObject({ name: spec.name, namespace: "conformance", uid: spec.uid });
      expect(found.containers).toMatchObject([{ containerId: id, name: "main" }]);
      expect(found.containers[0]!.memoryWorkingSetBytes).toBeGreaterThan(0);
    });

    test("what is unknown is not found, and ending it succeeds", async () => {
      const unknown = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
      const missing = (error: unknown) => isRuntimeError(error, "notFound");
      await runtime.pods.stopContainer(unknown, 1);
      await runtime.pods.removeContainer(unknown);
      await runtime.pods.stopSandbox(unknown);
      await runtime.pods.removeSandbox(unknown);
      await expect(runtime.streams.run(unknown, ["true"], 1)).rejects.toSatisfy(missing);
      await expect(logs(unknown)).rejects.toSatisfy(missing);
      await expect(runtime.streams.forward(unknown, 80)).rejects.toSatisfy(missing);
      const request = { containerId: unknown, command: ["true"], stdin: false, stdout: true, stderr: true, tty: false };
      await expect(runtime.streams.exec(request)).rejects.toSatisfy(missing);
    });

    test("a restarted agent finds what runs", async () => {
      if (!setting.reopen) return;
      const { spec, id } = await runPod(["sh", "-c", "echo before; sleep 1000"]);
      const next = await setting.reopen();
      const [found] = await next.pods.list({ uid: spec.uid });
      expect(found).toMatchObject({ state: "ready", annotations: spec.annotations });
      expect(found!.containers).toMatchObject([{ id, state: "running" }]);
      await next.pods.removeSandbox(found!.id);
      await next.close();
    });
  });
}

const plain = { readOnly: false, recursiveReadOnly: false, propagation: "private" } as const;

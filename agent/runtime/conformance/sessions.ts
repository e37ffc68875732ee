import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { type Stage, until } from "./stage.ts";

/** Exec and attach. */
export function sessionTests(stage: Stage): void {
  test("exec passes stdin to its end and returns both outputs and the exit code", async () => {
    const { id } = await stage.runPod(["sleep", "1000"]);
    const session = await stage.runtime.streams.exec({
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

  test("exec with a terminal has one output and can be resized", async () => {
    const { id } = await stage.runPod(["sleep", "1000"]);
    const session = await stage.runtime.streams.exec({
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

  test("attach connects to the streams of the container's first process", async () => {
    const { spec, id } = await stage.runPod(["cat"], { stdin: true, stdinOnce: true });
    const session = await stage.runtime.streams.attach({
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
    expect(await stage.exited(spec.uid, id)).toMatchObject({ exitCode: 0 });
  });
}

/** Port-forward. */
export function forwardTests(stage: Stage): void {
  test("port-forward carries bytes both ways and fails for a port without a listener", async () => {
    const { sandbox } = await stage.runPod(["nc", "-ll", "-p", "8080", "-e", "/bin/cat"]);
    const answer = await until(async () => {
      try {
        const socket = await stage.runtime.streams.forward(sandbox.id, 8080);
        socket.end("ping");
        return await text(socket);
      } catch {
        return undefined;
      }
    });
    expect(answer).toBe("ping");
    const refused = async () => {
      const socket = await stage.runtime.streams.forward(sandbox.id, 8081);
      socket.end("ping");
      await text(socket);
    };
    await expect(refused()).rejects.toThrow();
  });
}

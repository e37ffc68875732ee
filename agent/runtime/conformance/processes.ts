import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isRuntimeError } from "../index.ts";
import type { Stage } from "./stage.ts";

const plain = { readOnly: false, recursiveReadOnly: false, propagation: "private" } as const;

/** What a process gets, writes and returns. */
export function processTests(stage: Stage): void {
  test("passes environment, working directory, host name and mounts to the process", async () => {
    const data = await mkdtemp(join(stage.folder, "data-"));
    await writeFile(join(data, "in"), "from outside\n");
    const script =
      'echo "$GREETING"; hostname; pwd; cat /data/in; echo inside > /data/out; echo no > /fixed/x || echo refused';
    const { spec, id } = await stage.runPod(["sh", "-c", script], {
      env: [{ name: "GREETING", value: "hello = $world" }],
      workingDirectory: "/data",
      mounts: [
        { hostPath: data, containerPath: "/data", ...plain },
        { hostPath: data, containerPath: "/fixed", ...plain, readOnly: true },
      ],
    });
    await stage.exited(spec.uid, id);
    expect(await stage.logs(id, { stream: "stdout" })).toBe(
      `hello = $world\n${spec.hostname}\n/data\nfrom outside\nrefused\n`,
    );
    expect(await readFile(join(data, "out"), "utf8")).toBe("inside\n");
  });

  test("reads logs with a tail, timestamps and limits, and follows them to the end", async () => {
    const { spec, id } = await stage.runPod(["sh", "-c", "seq 1 5; sleep 0.2; echo late"]);
    expect(await stage.logs(id, { follow: true })).toBe("1\n2\n3\n4\n5\nlate\n");
    await stage.exited(spec.uid, id);
    expect(await stage.logs(id, { tailLines: 2 })).toBe("5\nlate\n");
    expect(await stage.logs(id, { tailLines: 0 })).toBe("");
    expect(await stage.logs(id, { limitBytes: 3 })).toBe("1\n2");
    expect(await stage.logs(id, { tailLines: 1, timestamps: true })).toMatch(/^\d{4}-\d\d-\d\dT[\d:]+\.\d+\S* late\n$/);
    expect(await stage.logs(id, { since: Date.now() + 3_600_000 })).toBe("");
    const stop = new AbortController();
    const running = await stage.runPod(["sh", "-c", "echo one; sleep 1000"]);
    for await (const part of stage.runtime.streams.logs(running.id, { follow: true, signal: stop.signal })) {
      expect(Buffer.from(part).toString()).toBe("one\n");
      stop.abort();
    }
  });

  test("runs a command and returns its output and exit code, or rejects at the timeout", async () => {
    const { id } = await stage.runPod(["sleep", "1000"], { env: [{ name: "COLOUR", value: "blue" }] });
    const result = await stage.runtime.streams.run(id, ["sh", "-c", "echo $COLOUR; echo bad >&2; exit 7"], 60);
    expect(result.exitCode).toBe(7);
    expect(Buffer.from(result.stdout).toString()).toBe("blue\n");
    expect(Buffer.from(result.stderr).toString()).toBe("bad\n");
    await expect(stage.runtime.streams.run(id, ["sleep", "1000"], 1)).rejects.toSatisfy((error) =>
      isRuntimeError(error, "timeout"),
    );
  });
}

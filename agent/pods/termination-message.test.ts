import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Container as RuntimeContainer } from "#agent/runtime";
import { readTerminationMessage } from "./termination-message.ts";
import { makeContainer, makePod } from "./testing.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "skiff-message-"));
  await mkdir(join(folder, "containers", "main"), { recursive: true });
});
afterAll(() => rm(folder, { recursive: true }));

async function read(text: string | undefined, { lines = [] as string[], exitCode = 1, fallback = false } = {}) {
  const path = join(folder, "containers", "main", "0.message");
  await rm(path, { force: true });
  if (text !== undefined) await writeFile(path, text);
  const context = {
    volumes: { podFolder: () => folder },
    runtime: {
      streams: {
        async *logs() {
          for (const line of lines) yield Buffer.from(line);
        },
      },
    },
  };
  const spec = makeContainer("main", {
    terminationMessagePath: "/dev/termination-log",
    ...(fallback ? { terminationMessagePolicy: "FallbackToLogsOnError" } : {}),
  });
  const ended = { id: "id", name: "main", attempt: 0, exitCode } as RuntimeContainer;
  return readTerminationMessage(context as never, makePod("p"), { spec, ended });
}

// Upstream's getTerminationMessage with tail.ReadAtMost(MaxContainerTerminationMessageLength), and
// readLastStringFromContainerLogs with MaxContainerTerminationMessageLogLength.
test("a termination message is the end of its file, or of the log of a failed container", async () => {
  expect(await read("last words")).toBe("last words");
  expect(await read(`${"a".repeat(5000)}end`)).toBe(`${"a".repeat(4093)}end`);
  expect(await read("", { lines: ["log"] })).toBe("");
  expect(await read("", { lines: ["first ", "b".repeat(3000), "end"], fallback: true })).toBe(`${"b".repeat(2045)}end`);
  expect(await read(undefined, { lines: ["log"], fallback: true })).toBe("log");
  expect(await read("file", { lines: ["log"], fallback: true })).toBe("file");
  expect(await read("", { lines: ["log"], fallback: true, exitCode: 0 })).toBe("");
});

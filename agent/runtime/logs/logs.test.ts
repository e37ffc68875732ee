import { appendFile, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type LogEntry, parseLogLine, readLogFile, renderLogs, rotateLog } from "./index.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "skiff-logs-"));
});
afterEach(() => rm(folder, { recursive: true }));

const line = (text: string, tag = "F", stream = "stdout", second = 0) =>
  `2026-01-01T00:00:${String(second).padStart(2, "0")}.123456789Z ${stream} ${tag} ${text}\n`;
const ended = async () => true;

async function text(batches: AsyncIterable<LogEntry[]>, options: Parameters<typeof renderLogs>[1] = {}) {
  const parts: Uint8Array[] = [];
  for await (const part of renderLogs(batches, options)) parts.push(part);
  return Buffer.concat(parts).toString();
}

test("parses a line into time, stream, tags and text", () => {
  const entry = parseLogLine(Buffer.from(line("hello world", "P:x", "stderr").trimEnd()));
  expect(entry).toMatchObject({ stream: "stderr", partial: true, time: "2026-01-01T00:00:00.123456789Z" });
  expect(Buffer.from(entry!.text).toString()).toBe("hello world");
  expect(parseLogLine(Buffer.from("2026 stdout F"))?.text.length).toBe(0);
  expect(parseLogLine(Buffer.from("nonsense"))).toBeUndefined();
  expect(parseLogLine(Buffer.from("2026 stdin F x"))).toBeUndefined();
});

test("joins partial lines, selects streams and applies limits", async () => {
  const path = join(folder, "0.log");
  await writeFile(path, line("one ", "P") + line("err", "F", "stderr") + line("two", "F") + line("", "F", "stdout", 5));
  expect(await text(readLogFile({ path, ended }))).toBe("one err\ntwo\n\n");
  expect(await text(readLogFile({ path, ended }), { stream: "stdout" })).toBe("one two\n\n");
  expect(await text(readLogFile({ path, ended }), { limitBytes: 6 })).toBe("one er");
  expect(await text(readLogFile({ path, ended }), { stream: "stdout", timestamps: true })).toBe(
    "2026-01-01T00:00:00.123456789Z one two\n2026-01-01T00:00:05.123456789Z \n",
  );
  expect(await text(readLogFile({ path, ended }), { since: Date.parse("2026-01-01T00:00:05Z") })).toBe("\n");
});

test("reads a tail over rotated files of any size", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat({ max: 40_000 }), fc.boolean(), fc.boolean()), { maxLength: 12 }),
      fc.nat({ max: 8 }),
      async (pieces, tail) => {
        const name = join(folder, `${Math.random()}.log`);
        const files = ["", ""];
        const lines = [""];
        pieces.forEach(([length, partial, old], index) => {
          const last = index === pieces.length - 1;
          const body = `${index}${"x".repeat(length)}`;
          const full = last || !partial || (old && pieces[index + 1]?.[2] === false);
          files[old && pieces.slice(0, index).every((piece) => piece[2]) ? 0 : 1] += line(body, full ? "F" : "P");
          lines[lines.length - 1] += body;
          if (full) lines.push("");
        });
        lines.pop();
        await writeFile(`${name}.20260101-000000`, files[0]!);
        await writeFile(name, files[1]!);
        const expected = tail === 0 ? [] : lines.slice(-tail);
        const got = await text(readLogFile({ path: name, tailLines: tail, ended }));
        expect(got).toBe(expected.map((one) => `${one}\n`).join(""));
      },
    ),
    { numRuns: 60 },
  );
});

// limitedMode of cri-client's ReadLogs: lines of a busy writer neither count nor make the read endless.
test.each([
  [2, ["two", "three"]],
  [undefined, ["one", "two", "three"]],
])("without following, what is written meanwhile is not read: tail %s", async (tailLines, expected) => {
  const path = join(folder, "0.log");
  await writeFile(path, ["one", "two", "three"].map((text) => line(text)).join(""));
  const seen: string[] = [];
  for await (const batch of readLogFile({ path, ended, ...(tailLines === undefined ? {} : { tailLines }) })) {
    seen.push(...batch.map((entry) => Buffer.from(entry.text).toString()));
    if (seen.length > 10) break;
    await appendFile(path, line("later"));
  }
  expect(seen).toEqual(expected);
});

test("follows over a rotation and ends after it has read everything of the writer", async () => {
  const path = join(folder, "0.log");
  await writeFile(path, line("first"));
  let over = false;
  const got: string[] = [];
  const following = (async () => {
    for await (const part of renderLogs(readLogFile({ path, follow: true, ended: async () => over }), {})) {
      got.push(Buffer.from(part).toString());
      if (got.join("") === "first\n") {
        await appendFile(path, line("before the move"));
        const moved = await rotateLog({
          path,
          maxBytes: 1,
          maxFiles: 3,
          now: 0,
          reopen: () => writeFile(path, line("after the move")),
        });
        expect(moved).toBe(true);
      }
      if (got.join("").endsWith("after the move\n")) {
        await appendFile(path, line("last"));
        over = true;
      }
    }
  })();
  await following;
  expect(got.join("")).toBe("first\nbefore the move\nafter the move\nlast\n");
});

test("stops following when the signal aborts", async () => {
  const path = join(folder, "0.log");
  await writeFile(path, line("first"));
  const stop = new AbortController();
  const batches = readLogFile({ path, follow: true, ended: async () => false, signal: stop.signal });
  const got: string[] = [];
  for await (const part of renderLogs(batches, {})) {
    got.push(Buffer.from(part).toString());
    stop.abort();
  }
  expect(got).toEqual(["first\n"]);
});

test("undoes a rotation whose file cannot be reopened; removes old files beyond the limit", async () => {
  const path = join(folder, "0.log");
  await writeFile(path, line("keep"));
  const reopen = async () => {
    throw new Error("no");
  };
  await expect(rotateLog({ path, maxBytes: 1, maxFiles: 2, now: 0, reopen })).rejects.toThrow("no");
  expect(await text(readLogFile({ path, ended }))).toBe("keep\n");
  for (const now of [1e12, 2e12]) {
    await rotateLog({ path, maxBytes: 1, maxFiles: 2, now, reopen: () => writeFile(path, line(`at ${now}`)) });
  }
  expect(await text(readLogFile({ path, ended }))).toBe("at 1000000000000\nat 2000000000000\n");
  await rename(path, `${path}.gone`);
  let reopened = false;
  const again = async () => {
    reopened = true;
  };
  expect(await rotateLog({ path, maxBytes: 1, maxFiles: 2, now: 3e12, reopen: again })).toBe(false);
  expect(reopened).toBe(true);
});

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Log, silentLog, sleep, systemClock } from "#base";
import { startAgent } from "./agent-process.ts";
import { dataFolder, lockFolder } from "./data-folder.ts";

/** A stand-in for the agent: it appends its configuration to a file, and runs until a signal. */
const program = `
import { appendFileSync, readFileSync } from "node:fs";
const config = process.argv[process.argv.indexOf("--config") + 1];
process.on("SIGTERM", () => process.exit(0));
setInterval(() => {}, 1000);
const { seen, server } = JSON.parse(readFileSync(config, "utf8"));
appendFileSync(seen, server + " " + process.pid + "\\n");
`;

test("starts the agent again with new settings, which is no fall, and keeps it running after that", async () => {
  const root = mkdtempSync(join(tmpdir(), "skiff-agent-process-"));
  const folder = dataFolder(root);
  const lock = lockFolder(folder);
  const seen = join(root, "seen");
  writeFileSync(join(root, "agent.mjs"), program);
  writeFileSync(seen, "");
  const launched: number[] = [];
  const errors: string[] = [];
  const log: Log = { ...silentLog, error: (message) => errors.push(message) };
  const settings = (server: string) => ({ server, seen });
  const agent = await startAgent({
    ...{ program: join(root, "agent.mjs"), folder, runtime: "fake", log, settings: settings("first") },
    launched: (pid) => launched.push(pid),
  });
  const lines = async (count: number): Promise<string[]> => {
    for (;;) {
      const all = readFileSync(seen, "utf8").split("\n").slice(0, -1);
      if (all.length >= count) return all;
      await sleep(systemClock, 20);
    }
  };
  try {
    await lines(1);
    agent.restart(settings("second"));
    await lines(2);
    expect(errors).toEqual([]);
    // After a fall, too, it has the new settings.
    process.kill(agent.pid, "SIGKILL");
    const all = await lines(3);
    expect(all).toEqual([`first ${launched[0]}`, `second ${launched[1]}`, `second ${launched[2]}`]);
    expect(errors).toEqual(["the agent has ended and is started again"]);
  } finally {
    await agent.stop();
    lock.release();
    rmSync(root, { recursive: true });
  }
  expect(() => process.kill(launched[2]!, 0)).toThrow();
});

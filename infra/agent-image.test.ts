import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { scratch } from "./testing/index.ts";

/** A host with a simulated systemd: a service runs until it is stopped, and every call is recorded. */
function host() {
  const folder = scratch();
  const at = (name: string) => join(folder, name);
  for (const name of ["bin", "image", "host"]) mkdirSync(at(name));
  const program = (name: string, lines: string[]) => {
    writeFileSync(at(name), ["#!/bin/sh", ...lines, ""].join("\n"));
    chmodSync(at(name), 0o755);
  };
  program("bin/nsenter", ['while [ "$1" != -- ]; do shift; done', "shift", 'exec "$@"']);
  // As the real one, it returns when the service has ended.
  program("bin/systemctl", [
    `echo "systemctl $*" >> ${folder}/calls`,
    `[ "$1" = stop ] && touch ${folder}/stop && while [ -e ${folder}/runs ]; do sleep 0.05; done; sleep 0.2; true`,
  ]);
  program("bin/systemd-run", [
    `rm -f ${folder}/stop; touch ${folder}/runs; echo "systemd-run $*" >> ${folder}/calls; echo the service runs`,
    `while [ ! -e ${folder}/stop ]; do [ -e ${folder}/fail ] && exit 3; sleep 0.05; done; rm ${folder}/runs`,
  ]);
  writeFileSync(at("node"), "node");
  writeFileSync(at("image/agent.mjs"), "the agent");
  const child = spawn("infra/images/agent/run.sh", ["--config", "/etc/skiff/agent.json"], {
    env: {
      PATH: `${at("bin")}:${process.env["PATH"]}`,
      SKIFF_IMAGE: at("image"),
      SKIFF_HOST: at("host"),
      SKIFF_NODE: at("node"),
    },
  });
  const exit = once(child, "exit");
  return { at, child, exit, calls: () => readFileSync(at("calls"), "utf8").trim().split("\n") };
}

test("the host's systemd runs the agent, and stopping the task stops the agent", async () => {
  const { at, child, exit, calls } = host();
  // Its output is the task's.
  const [said] = (await once(child.stdout, "data")) as [Buffer];
  expect(String(said)).toBe("the service runs\n");
  expect(readFileSync(at("host/agent.mjs"), "utf8")).toBe("the agent");
  expect(calls().at(-1)).toMatch(
    /^systemd-run --unit=skiff-agent .*KillMode=process .*host\/node .*agent\.mjs --config/,
  );
  child.kill("SIGTERM");
  expect(await exit).toEqual([0, null]);
  expect(calls().at(-1)).toBe("systemctl stop skiff-agent.service");
});

test("a service that ends badly ends the task so", async () => {
  const { at, child, exit } = host();
  await once(child.stdout, "data");
  writeFileSync(at("fail"), "");
  expect(await exit).toEqual([3, null]);
});

import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { access } from "./cases/access.ts";
import { containers } from "./cases/containers.ts";
import { jobCases } from "./cases/jobs.ts";
import { reading } from "./cases/reading.ts";
import { asRobot, tokens } from "./cases/tokens.ts";
import { making, writing } from "./cases/writing.ts";
import { type SkiffProcess, startSkiff } from "./cluster.ts";
import { check, findKubectls, kubectl, type Setting } from "./runner.ts";

const versions = findKubectls();

test("a kubectl exists", () => {
  expect(versions, "install kubectl 1.30 or newer, or name one in KUBECTL").not.toEqual([]);
});

let skiff: SkiffProcess;
let home: string;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "skiff-home-"));
  writeFileSync(join(home, "editor"), '#!/bin/sh\nsed -i s/red/blue/ "$1"\n');
  chmodSync(join(home, "editor"), 0o755);
  skiff = await startSkiff(["--runtime", "fake"]);
}, 90_000);

afterAll(async () => {
  await skiff?.stop();
  rmSync(home, { recursive: true, force: true });
});

const setting = (path: string): Setting => ({
  kubectl: path,
  kubeconfig: skiff.kubeconfig,
  namespace: `battery-${basename(path).replace(/[^a-z0-9]+/g, "-")}`,
  home: join(home, basename(path)),
  editor: join(home, "editor"),
});

describe.each(versions)("%s", (path) => {
  beforeAll(async () => {
    const { namespace } = setting(path);
    await check(setting(path), { run: `create ns ${namespace}`, global: true, source: "setup", out: /created/ });
    await check(setting(path), { run: "get sa default", source: "setup", within: 10, out: /default/ });
  });
  afterAll(async () => {
    await kubectl(setting(path), { run: `delete ns ${setting(path).namespace} --wait=false`, global: true });
  });
  test.each([...making, ...reading, ...writing, ...access, ...containers, ...jobCases, ...tokens])(
    "$run",
    { timeout: 90_000 },
    (step) => check(setting(path), step),
  );

  test("a token authenticates its pod, while the pod exists", async () => {
    const own = setting(path);
    const made = await kubectl(own, { run: "create token robot --bound-object-kind=Pod --bound-object-name=bearer" });
    const kubeconfig = `${own.home}-token`;
    const config = JSON.parse(readFileSync(own.kubeconfig, "utf8"));
    config.users[0].user = { token: made.out.trim() };
    writeFileSync(kubeconfig, JSON.stringify(config));
    const robot = { ...own, kubeconfig };
    for (const step of asRobot) await check(robot, step);
    await check(own, { run: "delete pod bearer --force", source: "setup", out: /deleted/ });
    const gone = {
      run: "auth whoami",
      source: "upstream validator",
      code: 1,
      err: /Unauthorized|logged in/,
      within: 5,
    };
    await check(robot, gone);
  });
});

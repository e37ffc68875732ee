import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { pushImage, standInImages } from "#agent/runtime/oci";
import { type SkiffProcess, startSkiff } from "../kubectl/cluster.ts";
import { findKubectls } from "../kubectl/runner.ts";
import { openRegistry, type Registry } from "./registry.ts";
import { skiffDown } from "./skiff.ts";

let registry: Registry;
let skiff: SkiffProcess;
let home: string;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "skiff-home-"));
  registry = await openRegistry();
  const images = await standInImages();
  const push = (name: string, tag: string, image: string) =>
    pushImage(`http://${registry.address}`, `library/${name}`, tag, images[image]!);
  await push("nginx", "1.27", "nginx:latest");
  await push("nginx", "1.28", "nginx:1.14.2");
  await push("busybox", "1.36", "busybox:latest");
  skiff = await startSkiff(["--registry-mirror", `docker.io=http://${registry.address}`]);
  mkdirSync(join(home, ".skiff"));
  symlinkSync(skiff.kubeconfig, join(home, ".skiff/kubeconfig"));
  mkdirSync(join(home, "bin"));
  symlinkSync(resolve(findKubectls().at(-1) ?? "kubectl"), join(home, "bin/kubectl"));
});
afterAll(async () => {
  if (skiff) await skiffDown(skiff);
  await registry?.stop();
  if (home) rmSync(home, { recursive: true, force: true });
});

test("the five minutes of the README do what they say", () => {
  const [, block = ""] = /## Five minutes[^`]*```sh\n(.*?)```/s.exec(readFileSync("README.md", "utf8")) ?? [];
  const { status, stdout, stderr } = spawnSync("bash", ["-euxo", "pipefail", "-c", block], {
    env: { ...process.env, HOME: home, PATH: `${home}/bin:${process.env["PATH"]}` },
    encoding: "utf8",
    timeout: 150_000,
  });
  expect(status, `${stdout}\n${stderr}`).toBe(0);
  // The Service answers at its address, by its name in a pod, and at the node's port.
  expect(stdout.match(/Welcome to nginx!/g)?.length, `${stdout}\n${stderr}`).toBe(3);
});

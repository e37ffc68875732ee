import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { compileServices } from "#agent/grpc";
import { cri } from "./cri.ts";
import { chainId } from "./image-mount.ts";
import { type ContainerItem, type ContainerStatus, containerView } from "./items.ts";
import { native } from "./native.ts";
import { mirrorFiles, namedAfter, parseMirrors, podNetworkConfig, sandboxProgram } from "./private/index.ts";

test("compiles the tables, and encodes and decodes messages", () => {
  for (const table of [cri, native]) {
    const methods = compileServices(table);
    for (const [service, calls] of Object.entries(table.services)) {
      for (const call of calls) expect(methods(service, call.split(" ")[0]!).path).toContain(service);
    }
  }
  const method = compileServices(cri)("RuntimeService", "ExecSync");
  expect(method.encode({ container_id: "c", cmd: ["a", "b"], timeout: 3 }).toString("hex")).toBe(
    "0a016312016112016218" + "03",
  );
  expect(method.decode(Buffer.from("0a026f6b1804", "hex"))).toMatchObject({ stdout: Buffer.from("ok"), exit_code: 4 });
  expect(() => compileServices(cri)("RuntimeService", "Nothing")).toThrow("RuntimeService/Nothing");
});

test("the sandbox's program waits until it is killed", async () => {
  for (const architecture of ["amd64", "arm64"] as const) {
    const program = sandboxProgram(architecture);
    expect(program.length).toBeLessThan(256);
    expect(program.readUInt16LE(18)).toBe(architecture === "amd64" ? 62 : 183);
  }
  expect(sandboxProgram("arm64").subarray(120, 176).toString("hex")).toBe(
    "c81080d2200280d281010010020080d2030180d2010000d4" +
      "280980d2000080d2010080d2020080d2030080d2040080d2010000d4f9ffff17",
  );
  if (process.platform !== "linux" || (process.arch !== "x64" && process.arch !== "arm64")) return;
  const folder = await mkdtemp(join(tmpdir(), "skiff-pause-"));
  await writeFile(join(folder, "pause"), sandboxProgram(process.arch === "x64" ? "amd64" : "arm64"), { mode: 0o755 });
  const child = spawn(join(folder, "pause"));
  const ended = new Promise((resolve) => child.on("exit", (code, signal) => resolve(signal ?? code)));
  const state = async () => /^State:\s+(\S)/m.exec(await readFile(`/proc/${child.pid}/status`, "utf8"))?.[1];
  const ignored = async () =>
    BigInt(`0x${/^SigIgn:\s+(\S+)/m.exec(await readFile(`/proc/${child.pid}/status`, "utf8"))?.[1]}`);
  while ((await state()) !== "S" || ((await ignored()) >> 16n) % 2n === 0n) await new Promise(setImmediate);
  child.kill("SIGKILL");
  expect(await ended).toBe("SIGKILL");
  await rm(folder, { recursive: true });
});

test("writes mirrors as containerd's files", () => {
  const mirrors = parseMirrors(["http://127.0.0.1:5000/", "docker.io=https://mirror.example", "docker.io=http://two"]);
  expect(mirrorFiles(mirrors)).toEqual({
    "_default/hosts.toml": '[host."http://127.0.0.1:5000"]\n  capabilities = ["pull", "resolve"]\n',
    "docker.io/hosts.toml":
      'server = "https://registry-1.docker.io"\n\n' +
      '[host."https://mirror.example"]\n  capabilities = ["pull", "resolve"]\n\n' +
      '[host."http://two"]\n  capabilities = ["pull", "resolve"]\n',
  });
  expect(() => parseMirrors(["mirror.example"])).toThrow(
    "registry mirror mirror.example: expected URL or REGISTRY=URL",
  );
});

test("names a node's own bridge within the kernel's limit", () => {
  const names = namedAfter("a-node-with-a-long-name");
  const network = { ...names, podCidr: "10.1.2.0/24", masquerade: true, folder: "/f" };
  const config = JSON.parse(podNetworkConfig(network));
  expect(config.plugins[0]).toMatchObject({
    type: "bridge",
    bridge: names.bridge,
    ipMasq: true,
    ipam: { type: "host-local", ranges: [[{ subnet: "10.1.2.0/24" }]], dataDir: "/f" },
  });
  expect(names.bridge.length).toBeLessThanOrEqual(15);
  expect(namedAfter("other").bridge).not.toBe(names.bridge);
});

// The OCI image specification's ChainID: a layer alone, then the digest of "<chain> <layer>".
test("names the snapshot of an image by its layers", () => {
  const [one, two] = ["a", "b"].map((digit) => `sha256:${digit.repeat(64)}`);
  expect(chainId([one!])).toBe(one);
  const expected = createHash("sha256").update(`${one} ${two}`).digest("hex");
  expect(chainId([one!, two!])).toBe(`sha256:${expected}`);
});

// CRI's ContainerUser, which containerd reports from 2.0 on.
test("a container has the identity that the runtime reports", () => {
  const item = {
    id: "c",
    metadata: { name: "main", attempt: 0 },
    labels: {},
    annotations: {},
  } as unknown as ContainerItem;
  const status = { state: "CONTAINER_RUNNING" } as ContainerStatus;
  const linux = { uid: 1000, gid: 2000, supplemental_groups: [2000, 3000] };
  expect(containerView(item, { ...status, user: { linux } }).user).toEqual({
    ...{ uid: 1000, gid: 2000, supplementalGroups: [2000, 3000] },
  });
  expect(containerView(item, { ...status, user: null }).user).toBeUndefined();
});

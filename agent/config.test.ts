import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { podCidrOf, readConfig } from "./config.ts";

test("each node has a part of the pod addresses of its own", () => {
  expect([0, 1, 255, 256].map((index) => podCidrOf("10.244.0.0/16", index))).toEqual([
    "10.244.0.0/24",
    "10.244.1.0/24",
    "10.244.255.0/24",
    "10.244.0.0/24",
  ]);
  expect(podCidrOf("192.168.7.0/24", 3)).toBe("192.168.7.0/24");
  expect(podCidrOf("fd00::/56", 3)).toBe("fd00::/56");
});

test("a configuration that lacks something is refused by name", async () => {
  const folder = await mkdtemp(join(tmpdir(), "skiff-config-"));
  const path = join(folder, "agent.json");
  const certificate = { cert: "", key: "" };
  const good = {
    server: "https://127.0.0.1:6443",
    ca: "",
    nodes: [{ name: "a", certificate }],
    runtime: "fake",
    dataDir: folder,
    podCidr: "10.244.0.0/16",
    registryMirrors: [],
    verbose: false,
  };
  const read = async (changes: object) => {
    await writeFile(path, JSON.stringify({ ...good, ...changes }));
    return readConfig(path);
  };
  expect(await read({})).toEqual(good);
  await expect(read({ server: undefined })).rejects.toThrow("server is missing");
  await expect(read({ runtime: "docker" })).rejects.toThrow("runtime docker is not supported");
  await expect(read({ nodes: [] })).rejects.toThrow("no nodes");
  const two = [good.nodes[0], { name: "b", certificate }];
  await expect(read({ nodes: two, runtime: "containerd" })).rejects.toThrow("only possible with the fake runtime");
  await rm(folder, { recursive: true });
});

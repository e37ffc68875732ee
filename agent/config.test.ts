import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { podCidrOf, readConfig } from "./config.ts";

test("gives each node its own range of pod addresses", () => {
  expect([0, 1, 255, 256].map((index) => podCidrOf("10.244.0.0/16", index))).toEqual([
    "10.244.0.0/24",
    "10.244.1.0/24",
    "10.244.255.0/24",
    "10.244.0.0/24",
  ]);
  expect(podCidrOf("192.168.7.0/24", 3)).toBe("192.168.7.0/24");
  expect(podCidrOf("fd00::/56", 3)).toBe("fd00::/56");
});

async function inFolder(run: (read: (value: unknown) => ReturnType<typeof readConfig>) => Promise<void>) {
  const folder = await mkdtemp(join(tmpdir(), "skiff-config-"));
  const path = join(folder, "agent.json");
  await run(async (value) => {
    await writeFile(path, typeof value === "string" ? value : JSON.stringify(value));
    return readConfig(path);
  });
  await rm(folder, { recursive: true });
}

const certificate = { cert: "", key: "" };
const usual = { registryMirrors: [], verbose: false, sigv4: false };
const good = {
  server: "https://127.0.0.1:6443",
  ca: "",
  nodes: [{ name: "a", certificate }],
  runtime: "fake",
  dataDir: "/data",
  podCidr: "10.244.0.0/16",
};
/** As the first start of an EC2 instance writes it. */
const instance = {
  server: "https://example.com/live/iam",
  region: "eu-west-1",
  sigv4: true,
  link: "wss://example.com/link",
  runtime: "containerd",
  dataDir: "/var/lib/skiff",
  podLogGroup: "pods",
  registryMirrors: [],
  verbose: false,
  labels: { "topology.kubernetes.io/zone": "eu-west-1a" },
  nodes: [{ name: "i-0123456789abcdef0" }],
};

test("reads the configuration of a machine and of an EC2 instance", () =>
  inFolder(async (read) => {
    expect(await read(good)).toEqual({ ...good, ...usual });
    expect(await read(instance)).toEqual(instance);
    const gateway = { clusterId: "123456789012/eu-west-1/prod" };
    expect(await read({ ...instance, gateway })).toEqual({ ...instance, gateway });
  }));

test("refuses a missing or an unknown field by its name", () =>
  inFolder(async (read) => {
    const refused = (changes: object, words: string, base: object = good) =>
      expect(read({ ...base, ...changes })).rejects.toThrow(words);
    await refused({ server: undefined }, "agent.json: server: is missing");
    await refused({ server: "nowhere" }, "server: must be a URL");
    await refused({ runtime: "podman" }, "runtime: podman is not supported");
    await refused({ runtime: "docker" }, "dockerSocket: is missing");
    const docker = { runtime: "docker", dockerSocket: "/run/docker.sock" };
    await refused({ ...docker, registryMirrors: ["http://a"] }, "registryMirrors: are the engine's own configuration");
    await refused({ nodes: [] }, "nodes: must name a node");
    await refused({ nodes: [{ name: "a" }] }, "nodes.0.certificate: is missing");
    await refused({ podCIDR: "10.0.0.0/8" }, "podCIDR: there is no such field");
    await refused({ podCidr: "all" }, "podCidr: must be a block");
    await refused({ link: "wss://example.com" }, "link: is only for sigv4");
    const two = [good.nodes[0], { name: "b", certificate }];
    await refused({ nodes: two, runtime: "containerd" }, "nodes: more than one in a process");
    await refused({ gateway: { clusterId: "a" } }, "gateway: is only for sigv4");
    await refused({ gateway: {} }, "gateway.clusterId: is missing", instance);
    await refused({ gateway: { clusterId: "" } }, "gateway.clusterId: must not be empty", instance);
    await refused({ gateway: { clusterId: "a", url: "b" } }, "gateway.url: there is no such field", instance);
    await refused({ region: undefined }, "region: is missing, with sigv4", instance);
    await refused({ link: "https://example.com" }, "link: must be a URL such as wss:", instance);
    await refused({ nodes: [{ name: "i-1", certificate }] }, "nodes.0.certificate: must not be given", instance);
    await expect(read("{")).rejects.toThrow(/agent.json: .*JSON/);
  }));

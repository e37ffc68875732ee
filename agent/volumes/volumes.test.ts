import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ConfigMap, Pod, Secret, Volume } from "#api";
import { silentLog } from "#base";
import { handClock } from "#test/make";
import {
  atomicWrite,
  changeOwnership,
  fieldValue,
  memorySize,
  podTokens,
  podVolumes,
  resourceValue,
  subPathOf,
  type VolumeToken,
} from "./index.ts";
import { mountNfs } from "./nfs.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "skiff-volumes-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const podWith = (...volumes: Volume[]): Pod => ({
  metadata: { name: "p", namespace: "ns", uid: "u1", labels: { b: "2", a: 'say "x"' } },
  spec: {
    containers: [{ name: "c", resources: { limits: { cpu: "1500m" }, requests: { memory: "64Mi" } } }],
    volumes,
  },
});

function setting() {
  const configMaps: Record<string, ConfigMap> = {};
  const secrets: Record<string, Secret> = {};
  const clock = handClock();
  const requests: VolumeToken[] = [];
  const server = { fails: false, maxSeconds: Number.POSITIVE_INFINITY };
  const tokens = podTokens({
    request: async (_pod, token) => {
      if (server.fails) throw new Error("the API is away");
      const count = requests.push(token);
      const milliseconds = Math.min(token.expirationSeconds, server.maxSeconds) * 1000;
      return { token: `token-${count}`, expires: clock.now() + milliseconds };
    },
    random: { bytes: (length) => new Uint8Array(length), fraction: () => 0 },
    clock,
    log: silentLog,
  });
  const volumes = podVolumes({
    folder: join(folder, "pods"),
    memory: false,
    configMap: async (namespace, name) => configMaps[`${namespace}/${name}`],
    secret: async (namespace, name) => secrets[`${namespace}/${name}`],
    host: { ips: ["10.0.0.1"] },
    allocatable: { cpu: "2", memory: "1Gi" },
    tokens,
  });
  return { configMaps, secrets, volumes, clock, requests, server };
}

test("replaces the files atomically and removes old ones", async () => {
  const at = join(folder, "v");
  const file = (text: string, mode = 0o644) => ({ bytes: Buffer.from(text), mode });
  expect(await atomicWrite(at, { a: file("1"), "deep/b": file("2", 0o400) })).toBe(true);
  const first = await readlink(join(at, "..data"));
  expect(await readFile(join(at, "deep/b"), "utf8")).toBe("2");
  expect((await stat(join(at, "deep/b"))).mode & 0o777).toBe(0o400);
  expect(await atomicWrite(at, { a: file("1"), "deep/b": file("2", 0o400) })).toBe(false);
  expect(await readlink(join(at, "..data"))).toBe(first);
  await mkdir(join(at, "..2020_crashed"));
  expect(await atomicWrite(at, { a: file("new"), c: file("3") })).toBe(true);
  expect(await readFile(join(at, "a"), "utf8")).toBe("new");
  expect((await readdir(at)).sort()).toEqual([await readlink(join(at, "..data")), "..data", "a", "c"].sort());
  // The next call repairs the state after a crash between the move of the data link and the links to it.
  await rm(join(at, "c"));
  expect(await atomicWrite(at, { a: file("new"), c: file("3") })).toBe(false);
  expect(await readFile(join(at, "c"), "utf8")).toBe("3");
});

test("mounts configMap and secret volumes with keys, items, modes, updates and optional objects", async () => {
  const { configMaps, secrets, volumes } = setting();
  configMaps["ns/settings"] = { metadata: { name: "settings" }, data: { a: "1", b: "2" }, binaryData: { c: "AAE=" } };
  secrets["ns/keys"] = { metadata: { name: "keys" }, data: { token: Buffer.from("hush").toString("base64") } };
  const pod = podWith(
    { name: "all", configMap: { name: "settings", defaultMode: 0o600 } },
    { name: "some", secret: { secretName: "keys", items: [{ key: "token", path: "x/y", mode: 0o440 }] } },
    { name: "none", configMap: { name: "absent", optional: true } },
  );
  const mounted = await volumes.mount(pod);
  expect(mounted["all"]!.readOnly).toBe(true);
  expect((await readFile(join(mounted["all"]!.path, "c"))).toString("hex")).toBe("0001");
  expect((await stat(join(mounted["all"]!.path, "a"))).mode & 0o777).toBe(0o600);
  expect(await readFile(join(mounted["some"]!.path, "x/y"), "utf8")).toBe("hush");
  expect((await readdir(mounted["none"]!.path)).filter((name) => !name.startsWith(".."))).toEqual([]);
  configMaps["ns/settings"] = { metadata: { name: "settings" }, data: { a: "changed" } };
  await volumes.refresh(pod);
  expect(await readFile(join(mounted["all"]!.path, "a"), "utf8")).toBe("changed");
  expect(await volumes.list()).toEqual(["u1"]);
  await volumes.unmount("u1");
  await volumes.unmount("u1");
  expect(await volumes.list()).toEqual([]);
  await expect(volumes.mount(podWith({ name: "v", configMap: { name: "absent" } }))).rejects.toThrow(
    'MountVolume.SetUp failed for volume "v" : configmap "absent" not found',
  );
  const wrongKey = { secretName: "keys", items: [{ key: "nope", path: "p" }] };
  await expect(volumes.mount(podWith({ name: "v", secret: wrongKey }))).rejects.toThrow(
    "non-existent secret key: nope",
  );
});

test("mounts downwardAPI and projected volumes", async () => {
  const { configMaps, volumes } = setting();
  configMaps["ns/ca"] = { metadata: { name: "ca" }, data: { "ca.crt": "PEM" } };
  const items = [
    { path: "labels", fieldRef: { fieldPath: "metadata.labels" } },
    { path: "cpu", resourceFieldRef: { containerName: "c", resource: "limits.cpu" } },
    { path: "memory", resourceFieldRef: { containerName: "c", resource: "limits.memory", divisor: "1Mi" } },
  ];
  const sources = [{ configMap: { name: "ca" } }, { downwardAPI: { items } }];
  const { both } = await volumes.mount(podWith({ name: "both", projected: { sources } }));
  expect(await readFile(join(both!.path, "ca.crt"), "utf8")).toBe("PEM");
  expect(await readFile(join(both!.path, "labels"), "utf8")).toBe('a="say \\"x\\""\nb="2"');
  expect(await readFile(join(both!.path, "cpu"), "utf8")).toBe("2");
  expect(await readFile(join(both!.path, "memory"), "utf8")).toBe("1024");
});

const tokenOf = (part: object = {}) => ({
  name: "t",
  projected: { sources: [{ serviceAccountToken: { path: "token", expirationSeconds: 1000, ...part } }] },
});

test("renews a token after four fifths of its lifetime and uses it until it expires when the renewal fails", async () => {
  const { volumes, clock, requests, server } = setting();
  const pod = podWith(tokenOf());
  const { t } = await volumes.mount(pod);
  const shows = async (token: string) => {
    await volumes.refresh(pod);
    expect(await readFile(join(t!.path, "token"), "utf8")).toBe(token);
  };
  expect((await stat(join(t!.path, "token"))).mode & 0o777).toBe(0o644);
  clock.move(799_000);
  await shows("token-1");
  server.fails = true;
  clock.move(1000);
  await shows("token-1");
  clock.move(199_000);
  await shows("token-1");
  clock.move(1000);
  await expect(volumes.refresh(pod)).rejects.toThrow(
    'MountVolume.SetUp failed for volume "t" : failed to fetch token: the API is away',
  );
  server.fails = false;
  await shows("token-2");
  await volumes.unmount("u1");
  await volumes.mount(pod);
  expect(requests).toEqual(Array(3).fill({ audience: undefined, expirationSeconds: 1000 }));
});

test("renews a long-lived token each day, and a shorter one than requested by its own lifetime", async () => {
  const { volumes, clock, requests, server } = setting();
  const pod = podWith(tokenOf({ audience: "vault", expirationSeconds: 1_000_000 }));
  await volumes.mount(pod);
  clock.move(86_399_000);
  await volumes.refresh(pod);
  expect(requests).toHaveLength(1);
  server.maxSeconds = 3600;
  clock.move(1000);
  await volumes.refresh(pod);
  expect(requests).toHaveLength(2);
  clock.move(2_880_000);
  await volumes.refresh(pod);
  expect(requests.map(({ audience }) => audience)).toEqual(["vault", "vault", "vault"]);
});

test("restricts a token's file to the user that reads it, if that is known", async () => {
  const { volumes } = setting();
  const modeOf = async (uid: string, spec: object) => {
    const pod = podWith(tokenOf());
    const made = { ...pod, metadata: { ...pod.metadata, uid }, spec: { ...pod.spec!, ...spec } };
    const { t } = await volumes.mount(made);
    const { mode, uid: owner, gid } = await stat(join(t!.path, "token"));
    return [(mode & 0o777).toString(8), owner, gid];
  };
  const [user, group] = [process.getuid!(), process.getgid!()];
  expect(await modeOf("a", { securityContext: { runAsUser: user } })).toEqual(["600", user, group]);
  const mixed = [{ name: "c", securityContext: { runAsUser: 7 } }, { name: "d" }];
  expect(await modeOf("b", { containers: mixed })).toEqual(["644", user, group]);
  expect(await modeOf("c", { securityContext: { fsGroup: group } })).toEqual(["640", user, group]);
});

test("creates an emptyDir once with mode 0777 and refuses unsupported volumes by name", async () => {
  const { volumes } = setting();
  const pod = podWith({ name: "scratch", emptyDir: {} });
  const { scratch } = await volumes.mount(pod);
  expect((await stat(scratch!.path)).mode & 0o777).toBe(0o777);
  await writeFile(join(scratch!.path, "kept"), "x");
  await volumes.mount(pod);
  expect(await readdir(scratch!.path)).toEqual(["kept"]);
  await expect(volumes.mount(podWith({ name: "v", csi: { driver: "d" } }))).rejects.toThrow(
    "volumes of kind csi are not supported",
  );
  await expect(volumes.mount(podWith({ name: "v", emptyDir: { medium: "HugePages" } }))).rejects.toThrow("HugePages");
});

test("an emptyDir that an agent left unfinished is completed", async () => {
  const { volumes } = setting();
  const parent = join(folder, "pods", "u1", "volumes", "kubernetes.io~empty-dir");
  await mkdir(join(parent, ".scratch"), { recursive: true, mode: 0o700 });
  const { scratch } = await volumes.mount(podWith({ name: "scratch", emptyDir: {} }));
  expect((await stat(scratch!.path)).mode & 0o777).toBe(0o777);
  expect(await readdir(parent)).toEqual(["scratch"]);
});

test("names the missing helper of a host that cannot mount NFS, and mount(8)'s error otherwise", async () => {
  const at = join(folder, "nfs");
  const source = { server: "127.0.0.1", path: "/none" };
  await expect(mountNfs(at, source, { helpers: [] })).rejects.toThrow("this node has no mount.nfs");
  expect(await readdir(folder)).toEqual([]);
  // A malformed server fails at once, with or without the helper.
  await expect(mountNfs(at, { ...source, server: "" }, { helpers: [process.execPath] })).rejects.toThrow(
    `mount failed: exit status 32\nMounting command: mount\nMounting arguments: -t nfs :/none ${at}\nOutput: mount`,
  );
  expect(await readdir(folder)).toEqual([]);
});

test("hostPath checks or creates the path according to its type", async () => {
  const { volumes } = setting();
  const mount = (path: string, type: string) => volumes.mount(podWith({ name: "v", hostPath: { path, type } }));
  const at = (name: string) => join(folder, name);
  expect(await mount(at("any"), "")).toEqual({ v: { path: at("any"), readOnly: false } });
  await mount(at("made"), "DirectoryOrCreate");
  expect((await lstat(at("made"))).isDirectory()).toBe(true);
  await mount(at("file"), "FileOrCreate");
  expect((await lstat(at("file"))).isFile()).toBe(true);
  await mount("/dev/null", "CharDevice");
  for (const [path, type, words] of [
    [at("file"), "Directory", "is not a directory"],
    [at("none"), "File", "is not a file"],
    [at("file"), "Socket", "is not a socket file"],
    [at("made"), "FileOrCreate", "is not a file"],
    [at("file"), "BlockDevice", "is not a block device"],
  ] as const) {
    await expect(mount(path, type)).rejects.toThrow(`hostPath type check failed: ${path} ${words}`);
  }
  // As os.MkdirAll in this case.
  await expect(mount("/proc/none/below", "DirectoryOrCreate")).rejects.toThrow("ENOENT: no such file or directory");
  await mount(at("deep/er/still"), "DirectoryOrCreate");
  expect((await lstat(at("deep/er/still"))).isDirectory()).toBe(true);
});

test("a subPath cannot leave its volume through symbolic links", async () => {
  const volume = join(folder, "volume");
  await mkdir(join(volume, "a"), { recursive: true });
  await mkdir(join(folder, "outside"));
  await symlink("a", join(volume, "inner"));
  await symlink("../outside", join(volume, "out"));
  expect(await subPathOf(volume, "a")).toBe(join(volume, "a"));
  expect(await subPathOf(volume, "inner/new/deep")).toBe(join(volume, "a/new/deep"));
  for (const path of ["../outside", "out", "out/new"]) {
    await expect(subPathOf(volume, path)).rejects.toThrow(`subPath "${path}" is outside of the volume`);
  }
  expect(await readdir(join(folder, "outside"))).toEqual([]);
  await expect(subPathOf("/proc", "none/below")).rejects.toThrow("ENOENT: no such file or directory");
});

// Upstream's calculateEmptyDirMemorySize and ResourceConfigForPod.
test.each([
  { name: "what the node can allocate", node: 1000n, limits: [undefined], size: 1000n },
  { name: "the pod's limit where each container has one", node: 1000n, limits: ["300", "400"], size: 700n },
  { name: "no limit of the pod where a container has none", node: 1000n, limits: ["300", undefined], size: 1000n },
  { name: "its own limit", node: 1000n, limits: ["300"], sizeLimit: "200", size: 200n },
  { name: "no own limit above the pod's", node: 1000n, limits: ["300"], sizeLimit: "2k", size: 300n },
  { name: "no own limit of zero", node: 1000n, limits: ["300"], sizeLimit: "0", size: 300n },
  { name: "nothing where nothing is known", node: 0n, limits: [undefined], size: 0n },
])("an emptyDir in memory has the size: $name", ({ node, limits, sizeLimit, size }) => {
  const volume = { name: "v", emptyDir: { medium: "Memory", ...(sizeLimit ? { sizeLimit } : {}) } };
  const containers = limits.map((memory, index) => ({
    name: `c${index}`,
    ...(memory === undefined ? {} : { resources: { limits: { memory } } }),
  }));
  expect(memorySize(volume, { metadata: { name: "p" }, spec: { containers } }, node)).toBe(size);
});

// Upstream's filePermissionChangeFunc and requiresPermissionChange.
test("gives a volume to a group, and with OnRootMismatch only one whose root is not the group's", async () => {
  const root = join(folder, "owned");
  await mkdir(join(root, "inner"), { recursive: true, mode: 0o700 });
  await writeFile(join(root, "inner/file"), "", { mode: 0o600 });
  await symlink("/etc/hostname", join(root, "link"));
  const group = process.getgid!();
  const modeOf = async (path: string) => ((await lstat(join(root, path))).mode & 0o7777).toString(8);
  const before = (await stat("/etc/hostname")).mode;
  await changeOwnership(root, { group, readOnly: false });
  expect([await modeOf("."), await modeOf("inner"), await modeOf("inner/file")]).toEqual(["2770", "2770", "660"]);
  expect((await stat("/etc/hostname")).mode).toBe(before);
  await chmod(join(root, "inner/file"), 0o600);
  await changeOwnership(root, { group, readOnly: false, policy: "OnRootMismatch" });
  expect(await modeOf("inner/file")).toBe("600");
  await chmod(root, 0o770);
  await changeOwnership(root, { group, readOnly: false, policy: "OnRootMismatch" });
  expect(await modeOf("inner/file")).toBe("660");
  await chmod(join(root, "inner/file"), 0o600);
  await changeOwnership(root, { group, readOnly: true });
  expect(await modeOf("inner/file")).toBe("640");
});

test("returns fields and resources as the downward API formats them", () => {
  const pod = podWith();
  const host = { ips: ["10.0.0.1", "fd::1"], podIPs: ["10.1.0.2"] };
  expect(fieldValue(pod, "metadata.labels['b']", host)).toBe("2");
  expect(fieldValue(pod, "status.hostIPs", host)).toBe("10.0.0.1,fd::1");
  expect(fieldValue(pod, "status.podIP", host)).toBe("10.1.0.2");
  expect(() => fieldValue(pod, "spec.x", host)).toThrow("unsupported fieldPath: spec.x");
  const container = pod.spec!.containers![0]!;
  expect(resourceValue(container, { resource: "limits.cpu", divisor: "1m" }, {})).toBe("1500");
  expect(resourceValue(container, { resource: "requests.memory", divisor: "1Ki" }, {})).toBe("65536");
  expect(resourceValue(container, { resource: "requests.cpu" }, {})).toBe("2");
  expect(() => resourceValue(container, { resource: "limits.gpu" }, {})).toThrow("unsupported container resource");
});

import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import {
  assembleImage,
  buildLayer,
  type ImageConfig,
  type Layer,
  layerOf,
  pushImage,
  type TarMember,
} from "#agent/runtime/oci";
import { run } from "./run.ts";
import { cacheFolder, moduleFolder } from "./suite.ts";

/*
 * Stand-ins for the images that upstream's suite names, made from Debian's packages and the suite's own agnhost. They
 * are served under the names of registry.k8s.io, so that the suite needs no other list of images.
 */

const packages = [
  ..."bash bind9-dnsutils ca-certificates curl iproute2 iptables netcat-openbsd nginx-light perl-base procps".split(
    " ",
  ),
  ..."socat util-linux util-linux-extra".split(" "),
];

interface StandIn {
  repository: string;
  tags: readonly string[];
  /** Layers over the root file system: agnhost's, and busybox's names for what the root file system lacks. */
  layers: readonly ("agnhost" | "busybox" | "kitten" | "setuid")[];
  config: Omit<ImageConfig, "architecture" | "env">;
}

const tests = "e2e-test-images";
const agnhost = (...command: string[]) => ({ entrypoint: ["/agnhost"], command });
const nginx = ["nginx", "-g", "daemon off;"];

/** Names and tags: upstream's test/utils/image/manifest.go; what each runs: the Dockerfiles in test/images. */
const standIns: readonly StandIn[] = [
  {
    repository: `${tests}/agnhost`,
    tags: ["2.66.1", "2.55"],
    layers: ["agnhost", "busybox"],
    config: agnhost("pause"),
  },
  {
    repository: `${tests}/busybox`,
    tags: ["1.37.0-2", "1.36.1-1"],
    layers: ["busybox"],
    config: { command: ["sh"] },
  },
  { repository: `${tests}/nginx`, tags: ["1.27.0-2", "1.28.0-2"], layers: [], config: { command: nginx } },
  { repository: `${tests}/glibc-dns-testing`, tags: ["2.1.1"], layers: [], config: { command: ["bash"] } },
  { repository: `${tests}/perl`, tags: ["5.26"], layers: ["busybox"], config: { command: ["perl"] } },
  {
    repository: `${tests}/kitten`,
    tags: ["1.8"],
    layers: ["agnhost", "kitten"],
    config: agnhost("netexec", "--http-port=80"),
  },
  { repository: `${tests}/nautilus`, tags: ["1.8"], layers: ["agnhost"], config: agnhost("netexec", "--http-port=80") },
  {
    repository: `${tests}/nonroot`,
    tags: ["1.5"],
    layers: ["agnhost", "busybox"],
    config: { command: ["/agnhost"], user: "1234" },
  },
  {
    repository: `${tests}/nonewprivs`,
    tags: ["1.4"],
    layers: ["agnhost", "setuid"],
    config: { command: ["/setuid-agnhost", "nonewprivs"] },
  },
  {
    repository: `${tests}/resource-consumer`,
    tags: ["1.14"],
    layers: ["agnhost"],
    config: agnhost("netexec", "--http-port=8080"),
  },
  {
    repository: `${tests}/regression-issue-74839`,
    tags: ["1.5"],
    layers: ["agnhost"],
    config: agnhost("tcp-reset"),
  },
  { repository: "pause", tags: ["3.10.2"], layers: ["agnhost"], config: agnhost("pause") },
];

/** Builds the stand-ins and pushes them to a registry. `bin` is the folder of agnhost. Needs root, for debootstrap. */
export async function pushSuiteImages(registry: string, bin: string, progress: (text: string) => void): Promise<void> {
  const base = await rootLayer(progress);
  progress("making the suite's images");
  const module = await moduleFolder();
  const program = readFileSync(join(bin, "agnhost"));
  const layers: Record<StandIn["layers"][number], Layer> = {
    agnhost: agnhostLayer(program, module),
    busybox: await busyboxLayer(base.programs),
    // The files of the real image that a test of volumes reads.
    kitten: buildLayer([
      { path: "data.json", bytes: Buffer.from('{"image": "kitten.jpg"}\n') },
      { path: "etc/os-release", bytes: Buffer.from('NAME="Alpine Linux"\n') },
    ]),
    setuid: buildLayer([{ path: "setuid-agnhost", bytes: program, mode: 0o4755 }]),
  };
  const shared = {
    architecture: process.arch === "arm64" ? ("arm64" as const) : ("amd64" as const),
    env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
  };
  for (const { repository, tags, layers: over, config } of standIns) {
    const image = assembleImage([base.layer, ...over.map((name) => layers[name])], { ...shared, ...config });
    for (const tag of tags) await pushImage(registry, repository, tag, image);
  }
}

interface Root {
  layer: Layer;
  /** Names of the programs in its /bin. */
  programs: ReadonlySet<string>;
}

/** The root file system that all stand-ins share: Debian's smallest with the packages that the tests call. */
async function rootLayer(progress: (text: string) => void): Promise<Root> {
  const folder = join(cacheFolder(), "root");
  if (!existsSync(folder)) {
    progress("making a root file system of Debian's packages");
    const part = `${folder}.${process.pid}`;
    mkdirSync(part, { recursive: true });
    try {
      await makeRoot(part);
      renameSync(part, folder);
    } finally {
      rmSync(part, { recursive: true, force: true });
    }
  }
  const about = JSON.parse(readFileSync(join(folder, "about.json"), "utf8")) as { diffId: string; programs: string[] };
  const layer = layerOf(readFileSync(join(folder, "layer.tar.gz")), about.diffId);
  return { layer, programs: new Set(about.programs) };
}

async function makeRoot(target: string): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "skiff-root-"));
  try {
    const release = /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "bookworm";
    const include = `--include=${packages.join(",")}`;
    await run("debootstrap", ["--variant=minbase", include, release, root]);
    for (const folder of ["var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale", "usr/share/man"]) {
      rmSync(join(root, folder), { recursive: true, force: true });
    }
    const archive = join(target, "layer.tar");
    await run("tar", ["--create", "--numeric-owner", "--exclude=./dev/*", "--file", archive, "--directory", root, "."]);
    const bytes = readFileSync(archive);
    writeFileSync(join(target, "layer.tar.gz"), gzipSync(bytes, { level: 1 }));
    rmSync(archive);
    const programs = readdirSync(join(root, "usr/bin"));
    const diffId = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    writeFileSync(join(target, "about.json"), JSON.stringify({ diffId, programs }));
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** agnhost as its Dockerfile lays it out: under two names, with a certificate, an uploads folder and a user of its own. */
function agnhostLayer(program: Buffer, module: string): Layer {
  const certificates = ["localhost.crt", "localhost.key"].map((name) => ({
    path: name,
    bytes: readFileSync(join(module, "test/images/agnhost/porter", name)),
  }));
  const users = [
    "root:x:0:0:root:/root:/bin/bash",
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin",
    "user-defined-in-image:x:1000:1000::/home/user-defined-in-image:/bin/bash",
  ];
  const groups = [
    "root:x:0:",
    "tty:x:5:",
    "nogroup:x:65534:",
    "user-defined-in-image:x:1000:",
    "group-defined-in-image:x:50000:user-defined-in-image",
  ];
  const lines = (list: readonly string[]): Buffer => Buffer.from(`${list.join("\n")}\n`);
  return buildLayer([
    { path: "agnhost", bytes: program, mode: 0o755 },
    { path: "agnhost-2", link: "agnhost" },
    { path: "uploads" },
    { path: "etc/passwd", bytes: lines(users) },
    { path: "etc/group", bytes: lines(groups) },
    ...certificates,
  ]);
}

/**
 * busybox for every name that the root file system's /bin has no program for, and bash as `sh`: Debian's own, dash, drops
 * variables such as `data-1`, which busybox's shell keeps.
 */
async function busyboxLayer(there: ReadonlySet<string>): Promise<Layer> {
  const { stdout } = await run("/bin/busybox", ["--list"]);
  const links = stdout
    .split("\n")
    .filter((name) => name !== "" && name !== "busybox" && name !== "sh" && !there.has(name))
    .map((name): TarMember => ({ path: `usr/bin/${name}`, link: "busybox" }));
  return buildLayer([
    { path: "usr/bin/busybox", bytes: readFileSync("/bin/busybox"), mode: 0o755 },
    { path: "usr/bin/sh", link: "bash" },
    ...links,
  ]);
}

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdir, readFile, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { unmountBelow } from "#agent/runtime";
import { CniNetwork } from "#agent/runtime/cni";
import {
  findPluginFolder,
  mayLowerOomScore,
  namedAfter,
  podNetworkConfig,
  sandboxImage,
  sandboxImageName,
} from "#agent/runtime/containerd/private";
import { type BuiltImage, buildImage } from "#agent/runtime/oci";
import { type Clock, systemClock } from "#base";
import { Engine } from "../engine.ts";
import { DockerImages, type SandboxImage } from "../images.ts";
import { dockerRuntime } from "../runtime.ts";

/** The engines with which the driver is tested, by their program. */
export type EngineProgram = "podman" | "dockerd";

export interface TestEngine {
  socket: string;
  stop(): Promise<void>;
}

/** Whether the program is on the path, with the system's own folders. */
export async function isInstalled(program: EngineProgram): Promise<boolean> {
  const folders = `${process.env["PATH"] ?? ""}${delimiter}/usr/sbin`.split(delimiter);
  const found = await Promise.all(
    folders.map((folder) =>
      access(join(folder, program)).then(
        () => true,
        () => false,
      ),
    ),
  );
  return found.includes(true);
}

const wordsOf = {
  podman: (folder: string, socket: string): string[] => [
    ...["--root", join(folder, "root"), "--runroot", join(folder, "run"), "--cgroup-manager", "cgroupfs"],
    ...["--runtime", "runc", "--events-backend", "file", "system", "service", "--time", "0", `unix://${socket}`],
  ],
  dockerd: (folder: string, socket: string): string[] => [
    ...["-H", `unix://${socket}`, "--data-root", join(folder, "root"), "--exec-root", join(folder, "run")],
    ...["--pidfile", join(folder, "pid"), "--bridge", "none", "--iptables=false", "--ip6tables=false"],
    "--ip-forward=false",
  ],
};

/** Podman's own defaults are above the limits of many processes, and raising a limit needs CAP_SYS_RESOURCE. */
const podmanSettings = `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
`;

/** Podman asks this registry instead of Docker Hub. */
const podmanRegistries = (mirror: string): string =>
  `unqualified-search-registries = ["docker.io"]\n[[registry]]\nlocation = "docker.io"\n[[registry.mirror]]\n` +
  `location = ${JSON.stringify(mirror)}\ninsecure = true\n`;

/** Starts an engine of the test's own in a folder; `mirror` is the address of a registry in place of Docker Hub. Rejects with the end of its output when it does not answer. */
export async function startEngine(program: EngineProgram, folder: string, mirror?: string): Promise<TestEngine> {
  await mkdir(folder, { recursive: true });
  const socket = join(folder, "engine.sock");
  const settings = join(folder, "containers.conf");
  await writeFile(settings, podmanSettings);
  const registries = join(folder, "registries.conf");
  if (mirror !== undefined) await writeFile(registries, podmanRegistries(mirror));
  const mirrors = mirror === undefined || program === "podman" ? [] : ["--registry-mirror", `http://${mirror}`];
  const child = spawn(program, [...wordsOf[program](folder, socket), ...mirrors], {
    stdio: ["ignore", "ignore", "pipe"],
    env: {
      ...process.env,
      CONTAINERS_CONF: settings,
      ...(mirror === undefined ? {} : { CONTAINERS_REGISTRIES_CONF: registries }),
      PATH: `${process.env["PATH"]}${delimiter}/usr/sbin`,
    },
  });
  let output = "";
  child.stderr!.on("data", (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-4000);
  });
  const deadline = Date.now() + 60_000;
  for (;;) {
    try {
      await new Engine(socket).version();
      break;
    } catch (error) {
      if (child.exitCode !== null || Date.now() > deadline) {
        throw new Error(`${program} does not answer: ${output}`, { cause: error });
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  return { socket, stop: () => end(child, folder) };
}

async function end(child: ChildProcess, folder: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    child.kill("SIGTERM");
    await once(child, "exit");
  }
  await unmountBelow(folder, true);
}

const ownSandboxImage = (): SandboxImage => ({
  name: sandboxImageName,
  image: sandboxImage(process.arch === "arm64" ? "arm64" : "amd64"),
});

export interface TestRuntime {
  socket: string;
  folder: string;
  owner: string;
  podCidr: string;
  clock?: Clock;
  logs?: { maxBytes: number; maxFiles: number };
}

/** The driver over an engine, with a network of its own. */
export async function openDocker({ socket, folder, owner, podCidr, clock = systemClock, logs }: TestRuntime) {
  const config = podNetworkConfig({
    ...namedAfter(owner),
    podCidr,
    masquerade: false,
    folder: join(folder, "addresses"),
  });
  const network = new CniNetwork({ config, pluginFolder: await findPluginFolder() });
  const restrictOomScore = !(await mayLowerOomScore());
  const runtime = dockerRuntime({
    ...{ socket, owner, folder, network, restrictOomScore, clock, logs },
    sandboxImage: ownSandboxImage(),
  });
  return { runtime, network };
}

/** Removes the bridge of a test's network. */
export async function removeNetwork(owner: string): Promise<void> {
  await promisify(execFile)("ip", ["link", "delete", namedAfter(owner).bridge]).catch(() => {});
}

const applets = "sh echo cat sleep env hostname pwd seq nc tar ls true false id date".split(" ");

/** The ids of all of an engine's containers. */
export async function containersOf(socket: string): Promise<string[]> {
  const items = await new Engine(socket).json<{ Id: string }[]>("GET", "/containers/json", { query: { all: true } });
  return items.map(({ Id }) => Id);
}

/** Loads a static busybox under a name that no registry has. */
export async function loadBusybox(socket: string, name: string): Promise<void> {
  const image: BuiltImage = buildImage({
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    layers: [
      [
        { path: "bin/busybox", bytes: await readFile("/bin/busybox"), mode: 0o755 },
        ...applets.map((applet) => ({ path: `bin/${applet}`, link: "busybox" })),
        { path: "tmp", mode: 0o1777 },
      ],
    ],
    command: ["sh"],
    env: { PATH: "/bin" },
  });
  await new DockerImages(new Engine(socket), ownSandboxImage()).load(name, image);
}

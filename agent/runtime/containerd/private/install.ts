import { spawn } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { join } from "node:path";

/** A requirement of containers that this machine lacks. */
export interface Missing {
  what: string;
  why: string;
  packages: Record<Manager, string>;
}

type Manager = "apt-get" | "dnf" | "apk";

const pluginFolders = ["/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"];
const plugins = ["bridge", "host-local", "loopback", "portmap"];

const programs: (Missing & { program: string })[] = [
  {
    program: "containerd",
    what: "containerd",
    why: "it runs the containers",
    packages: { "apt-get": "containerd", dnf: "containerd", apk: "containerd" },
  },
  {
    program: "runc",
    what: "runc",
    why: "containerd starts each container with it",
    packages: { "apt-get": "runc", dnf: "runc", apk: "runc" },
  },
  {
    program: "iptables",
    what: "iptables",
    why: "pods reach the outside and host ports reach pods through it",
    packages: { "apt-get": "iptables", dnf: "iptables-nft", apk: "iptables" },
  },
  {
    program: "ip",
    what: "ip (iproute2)",
    why: "the pod network is taken down with it",
    packages: { "apt-get": "iproute2", dnf: "iproute", apk: "iproute2" },
  },
];

const networkPlugins: Missing = {
  what: `the CNI plugins ${plugins.join(", ")} in one of ${pluginFolders.join(", ")}`,
  why: "they give pods their network",
  packages: { "apt-get": "containernetworking-plugins", dnf: "containernetworking-plugins", apk: "cni-plugins" },
};

const exists = (path: string): Promise<boolean> =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  );

async function onPath(program: string, path = process.env["PATH"] ?? ""): Promise<boolean> {
  // The PATH of ordinary users often lacks the folders of administrators' programs.
  const folders = [...path.split(":").filter(Boolean), "/usr/sbin", "/sbin", "/usr/local/sbin"];
  return (await Promise.all(folders.map((folder) => exists(join(folder, program))))).includes(true);
}

async function pluginFolder(): Promise<string | undefined> {
  for (const folder of pluginFolders) {
    if ((await Promise.all(plugins.map((plugin) => exists(join(folder, plugin))))).every(Boolean)) return folder;
  }
  return undefined;
}

/** The folder of the CNI plugins. Throws an Error that names the folders that were searched. */
export async function findPluginFolder(): Promise<string> {
  const folder = await pluginFolder();
  if (!folder) throw new Error(`missing: ${networkPlugins.what}; ${networkPlugins.why}`);
  return folder;
}

/** The requirements of a private containerd that this machine lacks; empty when containers can run. */
export async function findMissing(): Promise<Missing[]> {
  const found = await Promise.all(programs.map(({ program }) => onPath(program)));
  const missing: Missing[] = programs.filter((_, index) => !found[index]);
  return (await pluginFolder()) ? missing : [...missing, networkPlugins];
}

const commands: Record<Manager, (packages: string[]) => string[][]> = {
  "apt-get": (packages) => [
    ["apt-get", "update", "-q"],
    ["apt-get", "install", "-y", "-q", "--no-install-recommends", ...packages],
  ],
  dnf: (packages) => [["dnf", "install", "-y", ...packages]],
  apk: (packages) => [["apk", "add", "--no-cache", ...packages]],
};

/**
 * Installs missing requirements with the system's package manager, passing its output to `say`. Throws an Error that
 * names what could not be installed and why: no root, no known package manager, a failed command.
 */
export async function installRuntime(say: (line: string) => void): Promise<void> {
  const missing = await findMissing();
  if (missing.length === 0) return;
  const list = missing.map(({ what, why }) => `${what} (${why})`).join("; ");
  if (process.getuid?.() !== 0) throw new Error(`installing needs root; missing: ${list}`);
  let manager: Manager | undefined;
  for (const name of Object.keys(commands) as Manager[]) if (!manager && (await onPath(name))) manager = name;
  if (!manager) throw new Error(`no apt-get, dnf or apk on this machine: install by hand what is missing: ${list}`);
  const packages = [...new Set(missing.map((one) => one.packages[manager]))];
  for (const command of commands[manager](packages)) await runCommand(command, say);
  const still = await findMissing();
  if (still.length > 0) {
    throw new Error(
      `${manager} installed ${packages.join(" ")}, and still missing: ${still.map(({ what }) => what).join("; ")}`,
    );
  }
}

async function runCommand([program = "", ...args]: string[], say: (line: string) => void): Promise<void> {
  const line = [program, ...args].join(" ");
  say(line);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env });
  let tail = "";
  for (const output of [child.stdout, child.stderr]) {
    output.on("data", (chunk: Buffer) => {
      tail = (tail + chunk.toString()).slice(-2000);
      for (const text of chunk.toString().split("\n")) if (text.trim() !== "") say(text);
    });
  }
  const code = await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  if (code !== 0) throw new Error(`${line} failed (${code}):\n${tail.trim()}`);
}

import { createHash } from "node:crypto";
import { sandboxImageName } from "./sandbox-image.ts";

/** Where a private containerd keeps what is its own, all under one folder. */
export interface PrivatePaths {
  folder: string;
  config: string;
  socket: string;
  log: string;
  registries: string;
  network: string;
}

export function privatePaths(folder: string): PrivatePaths {
  return {
    folder,
    config: `${folder}/config.toml`,
    socket: `${folder}/containerd.sock`,
    log: `${folder}/containerd.log`,
    registries: `${folder}/certs.d`,
    network: `${folder}/net.d`,
  };
}

export interface ContainerdSettings {
  /** Where the CNI plugins are. */
  pluginFolder: string;
  snapshotter: "overlayfs" | "native";
  /** The process may not lower oom_score_adj: containerd must not try. */
  restrictOomScore: boolean;
}

/** JSON's string escapes are TOML's too. */
const quote = (text: string): string => JSON.stringify(text);

/** containerd's configuration, in the form that 1.6 to 2.x read. */
export function containerdConfig(paths: PrivatePaths, settings: ContainerdSettings): string {
  const cri = 'plugins."io.containerd.grpc.v1.cri"';
  const unused = ["aufs", "btrfs", "devmapper", "zfs"].map((name) => `io.containerd.snapshotter.v1.${name}`);
  return `version = 2
root = ${quote(`${paths.folder}/root`)}
state = ${quote(`${paths.folder}/state`)}
disabled_plugins = [${[...unused, "io.containerd.tracing.processor.v1.otlp"].map(quote).join(", ")}]

[grpc]
  address = ${quote(paths.socket)}

[${cri}]
  sandbox_image = ${quote(sandboxImageName)}
  restrict_oom_score_adj = ${settings.restrictOomScore}
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  max_container_log_line_size = 16384

  [${cri}.containerd]
    snapshotter = ${quote(settings.snapshotter)}

  [${cri}.cni]
    bin_dir = ${quote(settings.pluginFolder)}
    conf_dir = ${quote(paths.network)}

  [${cri}.registry]
    config_path = ${quote(paths.registries)}
`;
}

/** Where pulls go instead of a registry: URLs by registry host, `*` for every registry. Tried in order. */
export type RegistryMirrors = Record<string, string[]>;

/** Reads `URL` (for every registry) and `REGISTRY=URL`. Throws an Error that names what is wrong. */
export function parseMirrors(options: string[]): RegistryMirrors {
  const mirrors: RegistryMirrors = {};
  for (const option of options) {
    const match = /^(?:([\w.:-]+)=)?(https?:\/\/[^\s]+)$/.exec(option);
    if (!match) throw new Error(`registry mirror ${option}: expected URL or REGISTRY=URL`);
    const registry = match[1] ?? "*";
    mirrors[registry] = [...(mirrors[registry] ?? []), match[2]!.replace(/\/$/, "")];
  }
  return mirrors;
}

/** containerd's hosts.toml for each registry, by path below the registries folder. It is read at each pull. */
export function mirrorFiles(mirrors: RegistryMirrors): Record<string, string> {
  const files: Record<string, string> = {};
  for (const [registry, urls] of Object.entries(mirrors)) {
    // Docker's registry answers elsewhere than its name says, and containerd asks mirrors first, the server last.
    const server = registry === "docker.io" ? "https://registry-1.docker.io" : `https://${registry}`;
    const hosts = urls.map((url) => `[host.${quote(url)}]\n  capabilities = ["pull", "resolve"]\n`);
    const head = registry === "*" ? "" : `server = ${quote(server)}\n\n`;
    files[`${registry === "*" ? "_default" : registry}/hosts.toml`] = head + hosts.join("\n");
  }
  return files;
}

export interface PodNetwork {
  /** The CNI network's name. */
  name: string;
  /** The bridge that the node's pods are connected to; no other cluster of the machine has it. */
  bridge: string;
  podCidr: string;
  /** Gives traffic that leaves the pod network the host's address. */
  masquerade: boolean;
  /** Where the addresses in use are kept. */
  folder: string;
}

/** Names after a node, for a machine that has one cluster. Linux names interfaces with at most 15 characters. */
export const namedAfter = (node: string): { name: string; bridge: string } => ({
  name: `skiff-${node}`,
  bridge: `skiff-${createHash("sha256").update(node).digest("hex").slice(0, 8)}`,
});

/** The CNI configuration of a node: one bridge with the node's pod addresses, and host ports. */
export function podNetworkConfig({ name, bridge, podCidr, masquerade, folder }: PodNetwork): string {
  const ipv6 = podCidr.includes(":");
  return JSON.stringify(
    {
      cniVersion: "0.4.0",
      name,
      plugins: [
        {
          type: "bridge",
          bridge,
          isGateway: true,
          ipMasq: masquerade,
          hairpinMode: true,
          ipam: {
            type: "host-local",
            ranges: [[{ subnet: podCidr }]],
            routes: [{ dst: ipv6 ? "::/0" : "0.0.0.0/0" }],
            dataDir: folder,
          },
        },
        { type: "portmap", capabilities: { portMappings: true } },
      ],
    },
    undefined,
    2,
  );
}

import { createHash } from "node:crypto";
import { sandboxImageName } from "./sandbox-image.ts";

/** The paths of a private containerd, all under one folder. */
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
  /** The folder of the CNI plugins. */
  pluginFolder: string;
  snapshotter: "overlayfs" | "native";
  /** Set when the process may not lower oom_score_adj. */
  restrictOomScore: boolean;
}

/** JSON's string escapes are valid in TOML. */
const quote = (text: string): string => JSON.stringify(text);

/** containerd's configuration, valid for 1.6 to 2.x. */
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

/** Mirrors of registries: URLs by registry host, `*` for every registry. They are tried in order. */
export type RegistryMirrors = Record<string, string[]>;

/** Reads `URL` (for every registry) and `REGISTRY=URL`. Throws an Error that names the wrong option. */
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
    // Docker's registry has another host than its name, and containerd tries mirrors first, the server last.
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
  /** The bridge of the node's pods; no other cluster of the machine uses it. */
  bridge: string;
  podCidr: string;
  /** Traffic that leaves the pod network gets the host's address. */
  masquerade: boolean;
  /** The folder in which the addresses in use are stored. */
  folder: string;
}

/**
 * Names derived from a node's, for a machine with one cluster. Names of Linux interfaces have at most 15 characters.
 */
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

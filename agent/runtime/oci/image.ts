import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { packTar, type TarMember } from "./tar.ts";

/** The configuration of an image besides its layers. */
export interface ImageConfig {
  architecture: "amd64" | "arm64";
  entrypoint?: string[];
  command?: string[];
  env?: Record<string, string>;
  workingDirectory?: string;
  user?: string;
  ports?: string[];
  labels?: Record<string, string>;
}

export interface ImagePlan extends ImageConfig {
  /** From the bottom up. */
  layers: TarMember[][];
}

/** A layer that images can share: its compressed blob, and the digest of the archive in it. */
export interface Layer {
  blob: Blob;
  diffId: string;
}

export interface Blob {
  mediaType: string;
  digest: string;
  bytes: Buffer;
}

/** An image's blobs; the manifest names the others. */
export interface BuiltImage {
  manifest: Blob;
  config: Blob;
  layers: Blob[];
}

const digestOf = (bytes: Uint8Array): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

const blob = (mediaType: string, bytes: Buffer): Blob => ({ mediaType, digest: digestOf(bytes), bytes });

const json = (mediaType: string, value: unknown): Blob => blob(mediaType, Buffer.from(JSON.stringify(value)));

const describe = ({ mediaType, digest, bytes }: Blob) => ({ mediaType, digest, size: bytes.length });

const layerType = "application/vnd.oci.image.layer.v1.tar+gzip";

/** A layer of a compressed tar archive. */
export const layerOf = (compressed: Buffer, diffId: string): Layer => ({ blob: blob(layerType, compressed), diffId });

/** Builds a layer in memory. */
export function buildLayer(members: TarMember[]): Layer {
  const archive = packTar(members);
  return layerOf(gzipSync(archive), digestOf(archive));
}

/** Builds an image in memory. The same plan always has the same digests: nothing depends on the time. */
export const buildImage = ({ layers, ...plan }: ImagePlan): BuiltImage => assembleImage(layers.map(buildLayer), plan);

/** Assembles an image from layers, from the bottom up. */
export function assembleImage(layers: readonly Layer[], plan: ImageConfig): BuiltImage {
  const config = json("application/vnd.oci.image.config.v1+json", {
    created: "1970-01-01T00:00:00Z",
    architecture: plan.architecture,
    os: "linux",
    config: {
      ...(plan.entrypoint ? { Entrypoint: plan.entrypoint } : {}),
      ...(plan.command ? { Cmd: plan.command } : {}),
      Env: Object.entries(plan.env ?? {}).map(([name, value]) => `${name}=${value}`),
      ...(plan.workingDirectory ? { WorkingDir: plan.workingDirectory } : {}),
      ...(plan.user ? { User: plan.user } : {}),
      ...(plan.ports ? { ExposedPorts: Object.fromEntries(plan.ports.map((port) => [port, {}])) } : {}),
      ...(plan.labels ? { Labels: plan.labels } : {}),
    },
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(() => ({ created: "1970-01-01T00:00:00Z" })),
  });
  const manifest = json("application/vnd.oci.image.manifest.v1+json", {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: describe(config),
    layers: layers.map(({ blob: each }) => describe(each)),
  });
  return { manifest, config, layers: layers.map(({ blob: each }) => each) };
}

import type { BuiltImage } from "./image.ts";
import { packTar } from "./tar.ts";

/** An image as the archive that `docker load` reads, under a full name such as `docker.io/library/busybox:latest`. */
export function dockerArchive(name: string, { config, layers }: BuiltImage): Buffer {
  const fileOf = (digest: string): string => digest.replace("sha256:", "");
  const manifest = [
    {
      Config: `${fileOf(config.digest)}.json`,
      RepoTags: [name],
      Layers: layers.map(({ digest }) => `${fileOf(digest)}.tar.gz`),
    },
  ];
  return packTar([
    { path: `${fileOf(config.digest)}.json`, bytes: config.bytes },
    ...layers.map(({ digest, bytes }) => ({ path: `${fileOf(digest)}.tar.gz`, bytes })),
    { path: "manifest.json", bytes: Buffer.from(JSON.stringify(manifest)) },
  ]);
}

import type { Blob, BuiltImage } from "./image.ts";

/**
 * Pushes an image to a registry (OCI distribution API) under a tag. `registry` is its URL. Throws an Error with the
 * registry's answer when it refuses.
 */
export async function pushImage(registry: string, repository: string, tag: string, image: BuiltImage): Promise<void> {
  for (const blob of [...image.layers, image.config]) await pushBlob(registry, repository, blob);
  const answer = await fetch(`${registry}/v2/${repository}/manifests/${tag}`, {
    method: "PUT",
    headers: { "Content-Type": image.manifest.mediaType },
    body: new Uint8Array(image.manifest.bytes),
  });
  await refuse(answer, `manifest ${repository}:${tag}`);
}

async function pushBlob(registry: string, repository: string, blob: Blob): Promise<void> {
  const existing = await fetch(`${registry}/v2/${repository}/blobs/${blob.digest}`, { method: "HEAD" });
  if (existing.ok) return;
  const start = await fetch(`${registry}/v2/${repository}/blobs/uploads/`, { method: "POST" });
  await refuse(start, `upload to ${repository}`);
  const place = new URL(start.headers.get("location") ?? "", registry);
  place.searchParams.set("digest", blob.digest);
  const answer = await fetch(place, {
    method: "PUT",
    headers: { "Content-Type": "application/octet-stream" },
    body: new Uint8Array(blob.bytes),
  });
  await refuse(answer, `blob ${blob.digest}`);
}

async function refuse(answer: Response, what: string): Promise<void> {
  const body = await answer.text();
  if (!answer.ok) throw new Error(`the registry refused ${what}: ${answer.status} ${body}`);
}

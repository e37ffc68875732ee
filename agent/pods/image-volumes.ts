import { join } from "node:path";
import { isRuntimeError } from "#agent/runtime";
import type { Mounted } from "#agent/volumes";
import type { Container, Pod, Volume } from "#api";
import { messageOf } from "#base";
import { type PodsContext, StartError } from "./context.ts";
import type { Images } from "./images.ts";

/** The pod without its volumes of images, which are mounted with the containers that use them. */
export const withoutImageVolumes = (pod: Pod): Pod =>
  pod.spec?.volumes?.some(({ image }) => image)
    ? { ...pod, spec: { ...pod.spec, volumes: pod.spec.volumes.filter(({ image }) => !image) } }
    : pod;

/**
 * Pulls and mounts the images of the volumes that the container mounts, and resolves with them by name. They are
 * unmounted with the pod's folder. Throws StartError with the reasons of a container's own image (getImageVolumes).
 */
export async function mountImageVolumes(
  context: PodsContext,
  images: Images,
  { pod, container, signal }: { pod: Pod; container: Container; signal: AbortSignal },
): Promise<Record<string, Mounted>> {
  const used = new Set((container.volumeMounts ?? []).map(({ name }) => name));
  const volumes = (pod.spec?.volumes ?? []).filter(({ name, image }) => image && used.has(name));
  const mounted: Record<string, Mounted> = {};
  for (const volume of volumes) {
    mounted[volume.name] = await mountOne(context, images, { pod, container, volume, signal });
  }
  return mounted;
}

async function mountOne(
  { runtime, volumes }: PodsContext,
  images: Images,
  { pod, container, volume, signal }: { pod: Pod; container: Container; volume: Volume; signal: AbortSignal },
): Promise<Mounted> {
  const { reference = "", pullPolicy } = volume.image ?? {};
  const asked = { name: container.name, image: reference, ...(pullPolicy ? { imagePullPolicy: pullPolicy } : {}) };
  const image = await images.ensure(pod, asked as Container, signal);
  const folder = volumes.podFolder(pod.metadata.uid ?? "");
  // Without folders nothing is mounted at all: containers are simulated.
  if (folder === undefined) return { path: `/nonexistent/${volume.name}`, readOnly: true };
  const path = join(folder, "volumes", "kubernetes.io~image", volume.name);
  try {
    if (!runtime.images.mount) throw new Error("volumes of images are not supported by this runtime");
    await runtime.images.mount(image.id, path);
  } catch (error) {
    if (isRuntimeError(error, "unavailable")) throw error;
    const why = `failed to mount image volume "${volume.name}": ${messageOf(error)}`;
    throw new StartError("CreateContainerError", why, { cause: error });
  }
  return { path, readOnly: true };
}

import { type Image, type ImagePort, ignoreMissing, RuntimeError } from "#agent/runtime";
import type { Cri } from "./cri-client.ts";
import { sandboxImageName } from "./private/sandbox-image.ts";

interface ImageItem {
  id: string;
  repo_tags: string[];
  repo_digests: string[];
  size: number;
  uid: { value: number } | null;
  username: string;
  pinned: boolean;
}

const view = (item: ImageItem): Image => ({
  id: item.id,
  tags: item.repo_tags,
  digests: item.repo_digests,
  size: item.size,
  ...(item.uid ? { user: { uid: item.uid.value } } : item.username ? { user: { name: item.username } } : {}),
  // Runtimes before 1.7 do not pin images, and no pod can start without this one.
  pinned: item.pinned || item.repo_tags.includes(sandboxImageName),
});

/** Images over CRI. Mirrors are the runtime's configuration. */
export function criImages(cri: Cri, mount?: ImagePort["mount"]): ImagePort {
  const find = async (reference: string): Promise<Image | undefined> => {
    const status = cri.image<{ image: ImageItem | null }>("ImageStatus", { image: { image: reference } });
    const image = (await ignoreMissing(status))?.image;
    return image ? view(image) : undefined;
  };
  return {
    find,
    pull: async (reference, credentials, signal) => {
      const auth = credentials && {
        username: credentials.username ?? "",
        password: credentials.password ?? "",
        auth: credentials.auth ?? "",
        identity_token: credentials.identityToken ?? "",
        registry_token: credentials.registryToken ?? "",
      };
      const { image_ref } = await cri.image<{ image_ref: string }>(
        "PullImage",
        { image: { image: reference }, ...(auth ? { auth } : {}) },
        { timeoutMilliseconds: 0, otherwise: "registry", signal },
      );
      const image = await find(image_ref);
      if (!image) throw new RuntimeError("notFound", `image ${reference} vanished after its pull`);
      return image;
    },
    list: async () => (await cri.image<{ images: ImageItem[] }>("ListImages", {})).images.map(view),
    remove: async (reference) => {
      await cri.image("RemoveImage", { image: { image: reference } });
    },
    ...(mount ? { mount } : {}),
  };
}

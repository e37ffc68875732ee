import { createHash } from "node:crypto";
import { access } from "node:fs/promises";
import { join } from "node:path";
import {
  changeOwnership,
  type DriverVolumes,
  type Mounted,
  makeFolders,
  type PodTokens,
  VolumeError,
  type VolumePlace,
} from "#agent/volumes";
import type { CSIDriver, Pod, Secret, Volume } from "#api";
import { type Clock, formatTime, messageOf } from "#base";
import { type Driver, isFinal, type VolumeUsage } from "./driver.ts";
import type { Drivers } from "./drivers.ts";
import { isAbsent, readRecord, recordedVolumes, removeFolder, targetOf, writeRecord } from "./record.ts";

export interface CsiVolumesOptions {
  /** The node's name. */
  node: string;
  drivers: Pick<Drivers, "get">;
  /** The driver's object; undefined when it does not exist. */
  csiDriver(name: string): Promise<CSIDriver | undefined>;
  /** Undefined when it does not exist. */
  secret(namespace: string, name: string): Promise<Secret | undefined>;
  tokens?: PodTokens | undefined;
  clock: Clock;
}

/** How often the object of a driver that does not request refreshes is read: upstream's kubelet watches all of them. */
const lookMilliseconds = 600_000;

const prefix = "kubernetes.io/csi:";
const tokensKey = "csi.storage.k8s.io/serviceAccount.tokens";

/** Where a host with SELinux says so. */
const selinuxFile = "/sys/fs/selinux/enforce";

/** The id of a volume in a pod's spec (upstream's makeVolumeHandle). */
export const volumeIdOf = (uid: string, name: string): string =>
  `csi-${createHash("sha256").update(`${uid}${name}`).digest("hex")}`;

/**
 * Volumes of CSI drivers in pods' specs. What is published is recorded before, so that an agent that dies unpublishes
 * it later. Texts of errors are those of upstream's kubelet.
 */
export class CsiVolumes implements DriverVolumes {
  readonly #options: CsiVolumesOptions;
  /** When the objects of drivers that do not request refreshes were read. */
  readonly #readAt = new Map<string, number>();

  constructor(options: CsiVolumesOptions) {
    this.#options = options;
  }

  mount(place: VolumePlace): Promise<Mounted> {
    return this.#publish(place, true);
  }

  async refresh(place: VolumePlace): Promise<void> {
    const { csiDriver, clock } = this.#options;
    const name = place.volume.csi?.driver ?? "";
    const readAt = this.#readAt.get(name);
    if (readAt !== undefined && clock.now() - readAt < lookMilliseconds) return;
    const object = await csiDriver(name);
    if (object?.spec.requiresRepublish) return void (await this.#publish(place, false));
    this.#readAt.set(name, clock.now());
  }

  async unmount(_uid: string, parent: string): Promise<void> {
    const folders = (await recordedVolumes(parent)).map((name) => join(parent, name));
    const ended = await Promise.allSettled(folders.map((folder) => this.#unpublish(folder)));
    for (const end of ended) if (end.status === "rejected") throw end.reason;
  }

  /** What a volume uses; undefined where its driver does not measure it or is not registered. */
  async usage(folder: string): Promise<{ bytes?: VolumeUsage; inodes?: VolumeUsage } | undefined> {
    const record = await readRecord(folder);
    const driver = record && this.#options.drivers.get(record.driverName);
    return driver?.usage(record!.volumeHandle, targetOf(folder));
  }

  #driver(name: string, step: string): Driver {
    const driver = this.#options.drivers.get(name);
    if (driver) return driver;
    const why = `driver name ${name} not found in the list of registered CSI drivers`;
    throw new VolumeError(`${prefix} ${step} failed to get CSI client: ${why}`);
  }

  /** `isFirst`: no container uses the volume yet. */
  async #publish({ pod, volume, folder, signal }: VolumePlace, isFirst: boolean): Promise<Mounted> {
    const { driver: name, readOnly = false, fsType = "", volumeAttributes = {} } = volume.csi ?? { driver: "" };
    const uid = pod.metadata.uid ?? "";
    const driver = this.#driver(name, "mounter.SetUpAt");
    const object = await this.#options.csiDriver(name);
    checkMode(name, object);
    await checkSelinux(pod, object);
    const tokens = await this.#tokens(pod, object);
    const secrets = await this.#secrets(pod, volume);
    const inSecrets = object?.spec.serviceAccountTokenInSecrets === true;
    const fsGroup = pod.spec?.securityContext?.fsGroup;
    const setsGroup = (await capabilitiesOf(driver, signal)).has("VOLUME_MOUNT_GROUP");
    const use = {
      id: volumeIdOf(uid, volume.name),
      accessMode: "ReadWriteOnce" as const,
      fsType,
      mountOptions: [],
      fsGroup: setsGroup && fsGroup !== undefined ? Number(fsGroup) : undefined,
      secrets: { ...secrets, ...(inSecrets ? tokens : {}) },
      context: {
        ...volumeAttributes,
        ...(object?.spec.podInfoOnMount ? podInfo(pod) : {}),
        ...(inSecrets ? {} : tokens),
      },
    };
    await makeFolders(folder, 0o750);
    await writeRecord(folder, {
      specVolID: volume.name,
      volumeHandle: use.id,
      driverName: name,
      nodeName: this.#options.node,
      volumeLifecycleMode: "Ephemeral",
      attachmentID: attachmentOf(use.id, name, this.#options.node),
    });
    const path = targetOf(folder);
    try {
      await driver.publish(use, { path, readOnly, signal });
    } catch (error) {
      // A volume that was published before stays: the pod's containers use it.
      if (isFirst && isFinal(error)) await removeFolder(folder);
      throw new VolumeError(messageOf(error), { cause: error });
    }
    if (!setsGroup && fsGroup !== undefined && !readOnly && changesGroup(object, fsType)) {
      const policy = pod.spec?.securityContext?.fsGroupChangePolicy;
      await changeOwnership(path, { group: Number(fsGroup), readOnly, policy });
    }
    return { path, readOnly };
  }

  async #unpublish(folder: string): Promise<void> {
    const record = await readRecord(folder);
    // Without a record nothing has been published.
    if (record) {
      const driver = this.#driver(record.driverName, "Unmounter.TearDownAt");
      try {
        await driver.unpublish(record.volumeHandle, targetOf(folder));
      } catch (error) {
        throw new VolumeError(`${prefix} Unmounter.TearDownAt failed: ${messageOf(error)}`, { cause: error });
      }
    }
    await removeFolder(folder);
    if (!(await isAbsent(folder))) throw new VolumeError(`${prefix} ${targetOf(folder)} is still mounted`);
  }

  async #secrets({ metadata }: Pod, { csi }: Volume): Promise<Record<string, string>> {
    const name = csi?.nodePublishSecretRef?.name;
    if (name === undefined) return {};
    const namespace = metadata.namespace ?? "";
    const secret = await this.#options.secret(namespace, name);
    if (!secret) {
      const why = `failed to find the secret ${name} in the namespace ${namespace} with error: secrets "${name}" not found`;
      throw new VolumeError(`fetching NodePublishSecretRef ${namespace}/${name} failed: ${prefix} ${why}`);
    }
    const decoded = Object.entries(secret.data ?? {}).map(([key, value]) => [
      key,
      Buffer.from(value, "base64").toString(),
    ]);
    return Object.fromEntries(decoded) as Record<string, string>;
  }

  /** The pod's tokens by audience, in one value. */
  async #tokens(pod: Pod, object: CSIDriver | undefined): Promise<Record<string, string>> {
    const requests = object?.spec.tokenRequests ?? [];
    if (requests.length === 0) return {};
    const { tokens } = this.#options;
    if (!tokens) throw new VolumeError("service account tokens for CSI drivers are not supported by this node");
    const found: [string, object][] = [];
    for (const { audience = "", expirationSeconds = 3600 } of requests) {
      const { token, expires } = await tokens.get(pod, {
        audience: audience || undefined,
        expirationSeconds: Number(expirationSeconds),
      });
      found.push([audience, { token, expirationTimestamp: formatTime(expires) }]);
    }
    return { [tokensKey]: JSON.stringify(Object.fromEntries(found.sort(([a], [b]) => (a < b ? -1 : 1)))) };
  }
}

/** Throws VolumeError unless the driver's object allows volumes in pods' specs (upstream's supportsVolumeLifecycleMode). */
function checkMode(name: string, object: CSIDriver | undefined): void {
  const modes = object?.spec.volumeLifecycleModes ?? [];
  if (modes.includes("Ephemeral")) return;
  const shown = `only supports [${modes.map((mode) => `"${mode}"`).join(" ")}]`;
  const why = `volume mode "Ephemeral" not supported by driver ${name} (${object ? shown : "no CSIDriver object"})`;
  throw new VolumeError(`${prefix} mounter.SetupAt failed to check volume lifecycle mode: ${why}`);
}

async function checkSelinux({ spec }: Pod, object: CSIDriver | undefined): Promise<void> {
  if (!object?.spec.seLinuxMount || !spec?.securityContext?.seLinuxOptions) return;
  const isEnabled = await access(selinuxFile).then(
    () => true,
    () => false,
  );
  if (isEnabled) throw new VolumeError("mounts with SELinux contexts (seLinuxMount) are not supported by this node");
}

async function capabilitiesOf(driver: Driver, signal: AbortSignal | undefined): ReturnType<Driver["capabilities"]> {
  try {
    return await driver.capabilities(signal);
  } catch (error) {
    const why = `failed to determine if the node service has VOLUME_MOUNT_GROUP capability: ${messageOf(error)}`;
    throw new VolumeError(`${prefix} mounter.SetUpAt ${why}`, { cause: error });
  }
}

/** Whether the node changes the group of a volume's files (upstream's supportsFSGroup, for volumes in pods' specs). */
function changesGroup(object: CSIDriver | undefined, fsType: string): boolean {
  const policy = object?.spec.fsGroupPolicy ?? "ReadWriteOnceWithFSType";
  return policy === "File" || (policy !== "None" && fsType !== "");
}

const podInfo = ({ metadata, spec }: Pod): Record<string, string> => ({
  "csi.storage.k8s.io/pod.name": metadata.name ?? "",
  "csi.storage.k8s.io/pod.namespace": metadata.namespace ?? "",
  "csi.storage.k8s.io/pod.uid": metadata.uid ?? "",
  "csi.storage.k8s.io/serviceAccount.name": spec?.serviceAccountName ?? "",
  "csi.storage.k8s.io/ephemeral": "true",
});

/** The name of the volume's VolumeAttachment, which volumes in pods' specs do not have (upstream's getAttachmentName). */
const attachmentOf = (id: string, driver: string, node: string): string =>
  `csi-${createHash("sha256").update(`${id}${driver}${node}`).digest("hex")}`;

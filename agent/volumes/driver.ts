import type { Pod, Volume } from "#api";

/** A volume on the host. */
export interface Mounted {
  path: string;
  /** Read-only, whatever the container's mount requests. */
  readOnly: boolean;
}

export interface VolumePlace {
  pod: Pod;
  volume: Volume;
  /** The volume's own folder below the pod's. */
  folder: string;
  /** Cancels calls to the driver: the pod is being deleted. */
  signal?: AbortSignal | undefined;
}

/** Volumes that drivers outside of the agent mount. */
export interface DriverVolumes {
  /** Mounts the volume below its folder. Idempotent. Throws VolumeError, or the signal's reason. */
  mount(place: VolumePlace): Promise<Mounted>;
  /** Passes the driver new contents, such as tokens, where it requests that. Throws as `mount` does. */
  refresh(place: VolumePlace): Promise<void>;
  /**
   * Unmounts every volume of a pod that has a folder in `parent`, also those of earlier processes. Idempotent. Rejects
   * while a driver does not answer: its volume is still the pod's.
   */
  unmount(uid: string, parent: string): Promise<void>;
}

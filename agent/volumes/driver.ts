import type { Pod, Volume } from "#api";

/** A volume on the host. */
export interface Mounted {
  path: string;
  /** Read-only, whatever the container's mount requests. */
  readOnly: boolean;
}

/** Volumes that drivers outside of the agent mount. `folder` is the volume's own folder below the pod's. */
export interface DriverVolumes {
  /** Mounts the volume below its folder. Idempotent. Throws VolumeError. */
  mount(pod: Pod, volume: Volume, folder: string): Promise<Mounted>;
  /** Passes the driver new contents, such as tokens, where it requests that. Throws VolumeError. */
  refresh(pod: Pod, volume: Volume, folder: string): Promise<void>;
  /**
   * Unmounts every volume of a pod that has a folder in `parent`, also those of earlier processes. Idempotent. Rejects
   * while a driver does not answer: its volume is still the pod's.
   */
  unmount(uid: string, parent: string): Promise<void>;
}

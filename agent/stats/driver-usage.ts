import { type Clock, within } from "#base";
import type { DiskUsage } from "./disk.ts";
import type { Filesystem } from "./host.ts";

/** Numbers of one unit. */
interface Amounts {
  available: number;
  total: number;
  used: number;
}

/** What a driver measures of one of its volumes. */
export interface DriverUsage {
  bytes?: Amounts;
  inodes?: Amounts;
}

export interface MeasuredVolume {
  usage: DiskUsage;
  filesystem: Filesystem;
}

/** A volume is not measured again for this long, as the kubelet's volume statistics. */
const freshMilliseconds = 60_000;
/** How long an answer waits for a driver; what arrives later is in the next one. */
const waitMilliseconds = 1000;

interface Known {
  at: number;
  latest: MeasuredVolume | undefined;
  pending: Promise<void>;
}

/** What drivers measure. One that hangs, fails or is gone delays nothing: its volumes keep their latest values. */
export class DriverUsages {
  readonly #measure: (folder: string) => Promise<DriverUsage | undefined>;
  readonly #clock: Clock;
  readonly #known = new Map<string, Known>();

  constructor(measure: (folder: string) => Promise<DriverUsage | undefined>, clock: Clock) {
    this.#measure = measure;
    this.#clock = clock;
  }

  /** Undefined where nothing has been measured yet. */
  async of(folder: string): Promise<MeasuredVolume | undefined> {
    const now = this.#clock.now();
    let known = this.#known.get(folder);
    if (!known || now - known.at >= freshMilliseconds) {
      for (const [other, { at }] of this.#known) {
        if (now - at >= 2 * freshMilliseconds) this.#known.delete(other);
      }
      const next: Known = { at: now, latest: known?.latest, pending: Promise.resolve() };
      next.pending = this.#measure(folder).then(
        (usage) => {
          next.latest = usage && volumeOf(usage);
        },
        () => {},
      );
      this.#known.set(folder, next);
      known = next;
    }
    await within(this.#clock, waitMilliseconds, known.pending);
    return known.latest;
  }
}

const none: Amounts = { available: 0, total: 0, used: 0 };

/** Units that the driver leaves out are zero, as in upstream's summary. */
const volumeOf = ({ bytes = none, inodes = none }: DriverUsage): MeasuredVolume => ({
  usage: { bytes: bytes.used, inodes: inodes.used },
  filesystem: {
    capacity: bytes.total,
    available: bytes.available,
    used: bytes.used,
    inodes: inodes.total,
    inodesFree: inodes.available,
  },
});

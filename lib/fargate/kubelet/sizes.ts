import { isSidecar, type PodSpec, quantityMilliValue, quantityValue, totalOf } from "#api";

/** The resources of a task: 1024ths of a core, and MiB. */
export interface Size {
  cpu: number;
  memory: number;
}

const steps = (from: number, to: number, step: number): number[] =>
  Array.from({ length: (to - from) / step + 1 }, (_, index) => from + index * step);

/** The sizes of Fargate tasks, smallest first. */
export const sizes: readonly { cpu: number; memory: readonly number[] }[] = [
  { cpu: 256, memory: [512, 1024, 2048] },
  { cpu: 512, memory: steps(1024, 4096, 1024) },
  { cpu: 1024, memory: steps(2048, 8192, 1024) },
  { cpu: 2048, memory: steps(4096, 16_384, 1024) },
  { cpu: 4096, memory: steps(8192, 30_720, 1024) },
  { cpu: 8192, memory: steps(16_384, 61_440, 4096) },
  { cpu: 16_384, memory: steps(32_768, 122_880, 8192) },
];
export const largest: Size = { cpu: 16_384, memory: 122_880 };

const mebibyte = 1024n * 1024n;
const gibibyte = mebibyte * 1024n;
/** GiB of disk: every task's, and the maximum. */
export const disk = { included: 20, most: 200 };

const up = (value: bigint, unit: bigint): number => Number((value + unit - 1n) / unit);

/** A quantity of cores in 1024ths, rounded up. */
export const cpuShares = (quantity: string): number => up(quantityMilliValue(quantity) * 1024n, 1000n);
/** A quantity of bytes in MiB, rounded up. */
export const mebibytes = (quantity: string): number => up(quantityValue(quantity), mebibyte);

/** A pod's requests: its own if it has any, else the sum of its containers'. */
function requestsOf(spec: PodSpec): Record<string, string> {
  return { ...totalOf(spec, "requests"), ...spec.resources?.requests };
}

/** The smallest size that fits the pod's requests; undefined when none does. */
export function sizeOf(spec: PodSpec): Size | undefined {
  const { cpu = "0", memory = "0" } = requestsOf(spec);
  const [requestedCpu, requestedMemory] = [cpuShares(cpu), mebibytes(memory)];
  for (const row of sizes) {
    const found = row.memory.find((each) => each >= requestedMemory);
    if (row.cpu >= requestedCpu && found !== undefined) return { cpu: row.cpu, memory: found };
  }
  return undefined;
}

/** GiB of disk for a pod that requests more than every task has; may exceed the maximum. */
export function diskOf(spec: PodSpec): number | undefined {
  const requested = up(quantityValue(requestsOf(spec)["ephemeral-storage"] ?? "0"), gibibyte);
  return requested > disk.included ? requested : undefined;
}

export interface Share {
  cpu?: number | undefined;
  memory?: number | undefined;
  memoryReservation?: number | undefined;
}

/**
 * Each container's share of the task, by name. ECS adds up all containers of a definition, whether or not they run at
 * the same time: init containers, which run alone, get no share and may use the whole task. If the limits exceed the
 * task together, the task's own limit applies.
 */
export function sharesOf(spec: PodSpec, { memory: whole }: Size): Map<string, Share> {
  const running = [...(spec.initContainers ?? []).filter(isSidecar), ...spec.containers];
  const limits = running.map(({ resources }) => mebibytes(resources?.limits?.["memory"] ?? "0"));
  const fits = limits.reduce((sum, each) => sum + Math.max(each, leastMemory), 0) <= whole;
  return new Map(
    running.map(({ name, resources }, index): [string, Share] => {
      const requests = resources?.requests ?? {};
      const [cpu, reserved] = [cpuShares(requests["cpu"] ?? "0"), mebibytes(requests["memory"] ?? "0")];
      const limit = limits[index]!;
      const hard = fits && limit >= leastMemory ? limit : undefined;
      const soft = reserved >= leastMemory && (hard === undefined || reserved < hard) ? reserved : undefined;
      return [name, { cpu: cpu > 0 ? cpu : undefined, memory: hard, memoryReservation: soft }];
    }),
  );
}

/** Docker's minimum, in MiB. */
const leastMemory = 6;

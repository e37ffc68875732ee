/** One figure and the load under which it was measured. */
export interface Figure {
  name: string;
  value: number;
  unit: string;
  params: Record<string, unknown>;
}

/** Prints a figure as one line of JSON. */
export function report(name: string, value: number, unit: string, params: Record<string, unknown>): void {
  const rounded = value >= 100 ? Math.round(value) : Math.round(value * 100) / 100;
  process.stdout.write(`${JSON.stringify({ name, value: rounded, unit, params } satisfies Figure)}\n`);
}

/** The quantile of the samples at a share. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** Runs `count` steps with `clients` at a time; resolves with the steps a second and each step's milliseconds. */
export async function load(
  count: number,
  clients: number,
  step: (index: number) => Promise<unknown>,
): Promise<{ rate: number; samples: number[] }> {
  const samples: number[] = [];
  let next = 0;
  const started = performance.now();
  const work = async () => {
    for (let index = next++; index < count; index = next++) {
      const from = performance.now();
      await step(index);
      samples.push(performance.now() - from);
    }
  };
  await Promise.all(Array.from({ length: Math.min(clients, count) }, work));
  return { rate: (count * 1000) / (performance.now() - started), samples };
}

/** The name, help and labels of a metric. */
export interface MetricOptions {
  name: string;
  help: string;
  labels?: readonly string[];
}

/** Values of labels, in the order of their names. */
type Values = readonly string[];

export interface Counter {
  add(values: Values, amount?: number): void;
  /** Adds one for these values each time that it is called; looks them up once. */
  of(values: Values): () => void;
}

export interface Gauge {
  set(values: Values, value: number): void;
  add(values: Values, amount: number): void;
}

export interface Histogram {
  observe(values: Values, value: number): void;
  /** Observes for these values; looks them up once. */
  of(values: Values): (value: number) => void;
}

interface Metric {
  lines(): Iterable<string>;
}

/** Buckets that upstream uses for how long things take, in seconds. */
export const buckets = {
  /** `apiserver_request_duration_seconds` and `etcd_request_duration_seconds`. */
  requests: [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60],
  /** Ten times more each, from 10 ns to 1,000 s: work queues. */
  decades: [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1, 10, 100, 1000],
  /** The kubelet's: `prometheus.DefBuckets`. */
  common: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
} as const;

/** The metrics of a process. A name can be given once. */
export class MetricRegistry {
  readonly #metrics = new Map<string, Metric>();

  counter(options: MetricOptions): Counter {
    const series = new Series(options);
    this.#register(options, "counter", series);
    return {
      add: (values, amount = 1) => series.change(values, amount),
      of(values) {
        const found = series.at(values);
        return () => void found.value++;
      },
    };
  }

  gauge(options: MetricOptions): Gauge {
    const series = new Series(options);
    this.#register(options, "gauge", series);
    return {
      set: (values, value) => series.put(values, value),
      add: (values, amount) => series.change(values, amount),
    };
  }

  /** A metric whose values are read at each scrape, each with its time in milliseconds where that is not the scrape's. */
  read(
    options: MetricOptions & { type?: "counter" | "gauge" },
    values: () => Iterable<[Values, number, number?]>,
  ): void {
    this.#register(options, options.type ?? "gauge", {
      *lines() {
        for (const [labels, value, at] of values()) yield line(options.name, pairsOf(options, labels), value, at);
      },
    });
  }

  /** `bounds` are the upper ends of its buckets, rising. */
  histogram(options: MetricOptions & { bounds: readonly number[] }): Histogram {
    const distributions = new Distributions(options);
    this.#register(options, "histogram", distributions);
    return {
      observe: (values, value) => observe(distributions.at(values), value),
      of(values) {
        const found = distributions.at(values);
        return (value) => observe(found, value);
      },
    };
  }

  /** All metrics in Prometheus' text format, version 0.0.4. */
  text(): string {
    const lines: string[] = [];
    for (const [, metric] of [...this.#metrics].sort(([a], [b]) => (a < b ? -1 : 1))) lines.push(...metric.lines());
    return `${lines.join("\n")}\n`;
  }

  #register({ name, help }: MetricOptions, type: string, metric: Metric): void {
    if (this.#metrics.has(name)) throw new Error(`the metric ${name} is there already`);
    const head = [`# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}`, `# TYPE ${name} ${type}`];
    this.#metrics.set(name, {
      *lines() {
        yield* head;
        yield* metric.lines();
      },
    });
  }
}

class Series implements Metric {
  readonly #options: MetricOptions;
  readonly #values = new Map<string, { values: Values; value: number }>();

  constructor(options: MetricOptions) {
    this.#options = options;
    // Without labels there is one value, and it is there from the start.
    if (!options.labels?.length) this.put([], 0);
  }

  at(values: Values): { value: number } {
    const key = keyOf(values);
    let found = this.#values.get(key);
    if (!found) {
      found = { values, value: 0 };
      this.#values.set(key, found);
    }
    return found;
  }

  change(values: Values, amount: number): void {
    this.at(values).value += amount;
  }

  put(values: Values, value: number): void {
    this.at(values).value = value;
  }

  *lines(): Iterable<string> {
    for (const { values, value } of this.#values.values()) {
      yield line(this.#options.name, pairsOf(this.#options, values), value);
    }
  }
}

interface Distribution {
  pairs: string;
  bounds: readonly number[];
  counts: number[];
  sum: number;
  total: number;
}

function observe(distribution: Distribution, value: number): void {
  distribution.sum += value;
  distribution.total++;
  const at = distribution.bounds.findIndex((bound) => value <= bound);
  if (at >= 0) distribution.counts[at]!++;
}

class Distributions implements Metric {
  readonly #options: MetricOptions;
  readonly #bounds: readonly number[];
  readonly #found = new Map<string, Distribution>();

  constructor(options: MetricOptions & { bounds: readonly number[] }) {
    this.#options = options;
    this.#bounds = options.bounds;
  }

  at(values: Values): Distribution {
    const key = keyOf(values);
    let found = this.#found.get(key);
    if (!found) {
      const bounds = this.#bounds;
      found = { pairs: pairsOf(this.#options, values), bounds, counts: bounds.map(() => 0), sum: 0, total: 0 };
      this.#found.set(key, found);
    }
    return found;
  }

  *lines(): Iterable<string> {
    const { name } = this.#options;
    for (const { pairs, counts, sum, total } of this.#found.values()) {
      const rest = pairs === "" ? "" : `${pairs},`;
      let below = 0;
      for (const [index, bound] of this.#bounds.entries()) {
        below += counts[index]!;
        yield line(`${name}_bucket`, `${rest}le="${bound}"`, below);
      }
      yield line(`${name}_bucket`, `${rest}le="+Inf"`, total);
      yield line(`${name}_sum`, pairs, sum);
      yield line(`${name}_count`, pairs, total);
    }
  }
}

const keyOf = (values: Values): string => values.join("\u0000");

const pairsOf = ({ labels = [] }: MetricOptions, values: Values): string =>
  labels.map((label, index) => `${label}="${escaped(values[index] ?? "")}"`).join(",");

const escaped = (value: string): string =>
  value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");

const line = (name: string, pairs: string, value: number, at?: number): string =>
  `${name}${pairs === "" ? "" : `{${pairs}}`} ${valueText(value)}${at === undefined ? "" : ` ${Math.trunc(at)}`}`;

function valueText(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (Number.isFinite(value)) return String(value);
  return value > 0 ? "+Inf" : "-Inf";
}

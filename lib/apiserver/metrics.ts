import type { Kind } from "#api/meta";
import { buckets, type Counter, type Gauge, type Histogram, type MetricRegistry } from "#metrics";
import type { Resources } from "#resources";
import { text } from "./answer.ts";
import { booleanOption } from "./query.ts";
import type { ApiRequest, ApiResponse, RequestInfo } from "./request.ts";

export interface RequestMetricsOptions {
  metrics: MetricRegistry;
  resources: Resources;
  version: { gitVersion: string; major: string; minor: string };
}

/** The labels of requests. Their values come from the server's own tables, so that no client can create more series. */
const place = ["group", "resource", "scope", "subresource", "verb", "version"];

/** What is counted of requests that have the same labels. */
interface RequestSeries {
  isLong: boolean;
  kind: "mutating" | "readOnly";
  answered(code: number): void;
  took(seconds: number): void;
}

/** What the server counts of its requests, under upstream's names. */
export class RequestMetrics {
  readonly #options: RequestMetricsOptions;
  readonly #total: Counter;
  readonly #took: Histogram;
  readonly #long: Gauge;
  /** By labels and dry run; as many as the server's tables make of them. */
  readonly #series = new Map<string, RequestSeries>();
  readonly #inFlight = { mutating: 0, readOnly: 0 };

  constructor(options: RequestMetricsOptions) {
    this.#options = options;
    const { metrics, version } = options;
    this.#total = metrics.counter({
      name: "apiserver_request_total",
      help: "Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP response code.",
      labels: ["code", "component", "dry_run", ...place],
    });
    this.#took = metrics.histogram({
      name: "apiserver_request_duration_seconds",
      help: "Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, scope and component.",
      labels: ["component", "dry_run", ...place],
      bounds: buckets.requests,
    });
    this.#long = metrics.gauge({
      name: "apiserver_longrunning_requests",
      help: "Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, scope and component.",
      labels: ["component", ...place],
    });
    metrics.read(
      {
        name: "apiserver_current_inflight_requests",
        help: "Number of currently used inflight request limit of this apiserver per request kind.",
        labels: ["request_kind"],
      },
      () => Object.entries(this.#inFlight).map(([kind, count]) => [[kind], count]),
    );
    metrics.read(
      {
        name: "kubernetes_build_info",
        help: "A metric with a constant '1' value labeled by major, minor and git version from which the server was built.",
        labels: ["git_version", "major", "minor"],
      },
      () => [[[version.gitVersion, version.major, version.minor], 1]],
    );
  }

  /** A request has come. Returns what to call with the code of its answer. */
  begin(request: ApiRequest, info: RequestInfo): (code: number) => void {
    const labels = this.#labelsOf(request, info);
    const series = this.#seriesOf(request, labels);
    const isLong = series.isLong || booleanOption(request.query, "follow") === true;
    if (!isLong) this.#inFlight[series.kind]++;
    const since = this.#options.resources.clock.now();
    return (code) => {
      series.answered(code);
      if (isLong) return;
      this.#inFlight[series.kind]--;
      series.took((this.#options.resources.clock.now() - since) / 1000);
    };
  }

  #seriesOf(request: ApiRequest, labels: readonly string[]): RequestSeries {
    const dryRun = request.query.get("dryRun") === "All" ? "All" : "";
    const values = [component, dryRun, ...labels];
    const key = values.join();
    const known = this.#series.get(key);
    if (known) return known;
    const verb = labels[4]!;
    const isLong = verb === "WATCH" || verb === "CONNECT";
    const codes = new Map<number, () => void>();
    const series: RequestSeries = {
      isLong,
      kind: readOnly.has(verb) ? "readOnly" : "mutating",
      answered: (code) => {
        const add = codes.get(code) ?? this.#total.of([String(code), ...values]);
        codes.set(code, add);
        add();
      },
      took: isLong ? () => {} : this.#took.of(values),
    };
    this.#series.set(key, series);
    return series;
  }

  /** A watch of a kind has begun. Returns what to call at its end. */
  watching(kind: Kind, namespace: string): () => void {
    const scope = namespace === "" ? "cluster" : "namespace";
    const values = [component, kind.group, kind.plural, scope, "", "WATCH", kind.version];
    this.#long.add(values, 1);
    return () => this.#long.add(values, -1);
  }

  /** /metrics. */
  answer(): ApiResponse {
    const answer = text(200, this.#options.metrics.text());
    return { ...answer, headers: { ...answer.headers, "content-type": "text/plain; version=0.0.4; charset=utf-8" } };
  }

  #labelsOf(request: ApiRequest, info: RequestInfo): string[] {
    const found = info.resource
      ? this.#options.resources.registry.find(info.group, info.version, info.plural)
      : undefined;
    if (!found) return ["", "", "", rootOf(info), methods.has(request.method) ? request.method : "other", ""];
    const { kind } = found;
    const part = info.subresource === "" ? undefined : kind.subresources?.[info.subresource];
    const acts = part?.type === "proxy" || (part?.type === "connect" && part.verbs.includes("post"));
    const scope =
      info.name !== "" || info.verb === "create" ? "resource" : info.namespace === "" ? "cluster" : "namespace";
    const verb = acts ? "CONNECT" : (verbs[info.verb] ?? "other");
    return [kind.group, kind.plural, scope, part ? info.subresource : "", verb, kind.version];
  }
}

const component = "apiserver";
const methods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
const readOnly = new Set(["GET", "HEAD", "LIST", "WATCH"]);
const verbs: Readonly<Record<string, string>> = {
  get: "GET",
  list: "LIST",
  watch: "WATCH",
  create: "POST",
  update: "PUT",
  patch: "PATCH",
  delete: "DELETE",
  deletecollection: "DELETECOLLECTION",
};

const roots = new Set(["healthz", "livez", "readyz", "metrics", "openapi", "openid", "version", "api", "apis"]);

/** The beginning of a path that is no resource's, as upstream puts it in the place of a subresource. */
function rootOf({ resource, path }: RequestInfo): string {
  const root = path.split("/")[1] ?? "";
  return !resource && roots.has(root) ? `/${root}` : "";
}

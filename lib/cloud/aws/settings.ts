import { type LoadBalancer, Refused } from "#cloud";

/** The settings of a load balancer, in AWS's terms. */
export interface Settings {
  scheme: "internal" | "internet-facing";
  /** Defaults to the cluster's subnets. */
  subnets?: string[] | undefined;
  crossZone: boolean;
  listeners: Listener[];
  check: HealthCheck;
  /** Attributes of every target group. */
  attributes: Readonly<Record<string, string>>;
}

export interface Listener {
  protocol: "TCP" | "UDP" | "TCP_UDP";
  port: number;
  nodePort: number;
}

export interface HealthCheck {
  protocol: "TCP" | "HTTP" | "HTTPS";
  /** `traffic-port`, or a number. */
  port: string;
  /** Undefined for TCP. */
  path?: string | undefined;
  /** Seconds. */
  interval: number;
  timeout: number;
  healthy: number;
  unhealthy: number;
}

const prefix = "service.beta.kubernetes.io/aws-load-balancer-";

type Reader = (value: string, name: string) => unknown;
const oneOf =
  (...values: string[]): Reader =>
  (value, name) => {
    if (!values.includes(value)) refuse(name, value, `must be ${values.join(" or ")}`);
    return value;
  };
const between =
  (least: number, most: number): Reader =>
  (value, name) => {
    const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
    if (!(number >= least && number <= most)) refuse(name, value, `must be a number from ${least} to ${most}`);
    return number;
  };

/** The supported annotations, by what follows the prefix. Every other annotation with the prefix is refused. */
const readers: Readonly<Record<string, Reader>> = {
  type: oneOf("nlb"),
  "nlb-target-type": oneOf("instance"),
  scheme: oneOf("internal", "internet-facing"),
  // Upstream reads every value except `false` as true; `0.0.0.0/0` is an old one.
  internal: (value) => value !== "" && value !== "false",
  "cross-zone-load-balancing-enabled": oneOf("true", "false"),
  subnets: (value, name) => {
    const subnets = value.split(",").map((one) => one.trim());
    if (!subnets.every((one) => /^subnet-[0-9a-f]+$/.test(one))) refuse(name, value, "must be ids of subnets");
    return subnets;
  },
  "proxy-protocol": oneOf("*"),
  "healthcheck-protocol": (value, name) => oneOf("TCP", "HTTP", "HTTPS")(value.toUpperCase(), name),
  "healthcheck-port": (value, name) => (value === "traffic-port" ? value : String(between(1, 65_535)(value, name))),
  "healthcheck-path": (value, name) => {
    if (!value.startsWith("/")) refuse(name, value, "must begin with /");
    return value;
  },
  "healthcheck-interval": between(5, 300),
  "healthcheck-timeout": between(2, 120),
  "healthcheck-healthy-threshold": between(2, 10),
  "healthcheck-unhealthy-threshold": between(2, 10),
};

function refuse(name: string, value: string, why: string): never {
  throw new Refused(`annotation ${prefix}${name}: ${JSON.stringify(value)} ${why}`);
}

/** The settings that a service requests. Throws Refused with the annotation or the field that is not supported. */
export function settingsOf(desired: LoadBalancer): Settings {
  const { ports, healthPort, affinity, sourceRanges, annotations, address } = desired;
  if (address)
    throw new Refused(`loadBalancerIP ${address} is not supported: AWS assigns the addresses of load balancers`);
  const read = readAll(annotations);
  const internal = read["internal"] === true;
  if (internal && read["scheme"] === "internet-facing") refuse("scheme", "internet-facing", "contradicts internal");
  const ipv6 = sourceRanges.find((range) => range.includes(":"));
  if (ipv6) throw new Refused(`the source range ${ipv6} is not IPv4, and load balancers have IPv4 addresses only`);
  const subnets = read["subnets"] as string[] | undefined;
  return {
    scheme: (read["scheme"] as Settings["scheme"]) ?? (internal ? "internal" : "internet-facing"),
    subnets,
    crossZone: read["cross-zone-load-balancing-enabled"] === "true",
    listeners: listenersOf(ports),
    check: checkOf(read, healthPort),
    attributes: {
      "stickiness.enabled": String(affinity),
      "stickiness.type": "source_ip",
      "proxy_protocol_v2.enabled": String(read["proxy-protocol"] === "*"),
    },
  };
}

function readAll(annotations: Readonly<Record<string, string>>): Record<string, unknown> {
  const read: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(annotations)) {
    if (!key.startsWith(prefix)) continue;
    const name = key.slice(prefix.length);
    const reader = readers[name];
    if (!reader) throw new Refused(`annotation ${key} is not supported`);
    read[name] = reader(value, name);
  }
  return read;
}

function checkOf(read: Record<string, unknown>, healthPort: number | undefined): HealthCheck {
  const fallback = healthPort === undefined ? "TCP" : "HTTP";
  const protocol = (read["healthcheck-protocol"] as HealthCheck["protocol"] | undefined) ?? fallback;
  const path = (read["healthcheck-path"] as string | undefined) ?? (healthPort === undefined ? "/" : "/healthz");
  if (protocol === "TCP" && read["healthcheck-path"] !== undefined)
    refuse("healthcheck-path", path, "needs the protocol HTTP or HTTPS");
  const interval = (read["healthcheck-interval"] as number | undefined) ?? 10;
  const timeout =
    (read["healthcheck-timeout"] as number | undefined) ?? Math.min(protocol === "HTTP" ? 6 : 10, interval);
  if (timeout > interval) refuse("healthcheck-timeout", String(timeout), "must not exceed the interval");
  return {
    protocol,
    port: (read["healthcheck-port"] as string | undefined) ?? String(healthPort ?? "traffic-port"),
    path: protocol === "TCP" ? undefined : path,
    interval,
    timeout,
    healthy: (read["healthcheck-healthy-threshold"] as number | undefined) ?? 3,
    unhealthy: (read["healthcheck-unhealthy-threshold"] as number | undefined) ?? 3,
  };
}

/** The listeners, one for each port. TCP and UDP share a listener if they have the same node port. */
function listenersOf(ports: LoadBalancer["ports"]): Listener[] {
  const listeners = new Map<number, Listener>();
  for (const { protocol, port, nodePort } of ports) {
    if (protocol !== "TCP" && protocol !== "UDP") {
      throw new Refused(`port ${port}: protocol ${protocol} is not supported by network load balancers`);
    }
    if (!nodePort) throw new Refused(`port ${port}: has no node port, and load balancers send traffic to node ports`);
    const existing = listeners.get(port);
    if (existing && existing.nodePort !== nodePort) {
      throw new Refused(`port ${port}: TCP and UDP need the same node port to share a listener`);
    }
    listeners.set(port, { protocol: existing ? "TCP_UDP" : protocol, port, nodePort });
  }
  return [...listeners.values()];
}

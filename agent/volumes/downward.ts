import {
  type Container,
  compareQuantities,
  type Pod,
  parseQuantity,
  quantityMilliValue,
  quantityValue,
  type ResourceFieldSelector,
} from "#api";

/** Go's quoting of map values, as the downward API prints them: `key="value"` lines, sorted. */
const printMap = (map: Record<string, string> | undefined): string =>
  Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join("\n");

const subscript = /^(metadata\.(?:labels|annotations))\['(.*)'\]$/;

/**
 * The value at a downward API field path; "" where the pod has none. `host` holds the values that only the node knows.
 * Throws an Error that names an unsupported path.
 */
export function fieldValue(pod: Pod, path: string, host: { ips: string[]; podIPs: string[] }): string {
  const indexed = subscript.exec(path);
  if (indexed) {
    const map = indexed[1] === "metadata.labels" ? pod.metadata.labels : pod.metadata.annotations;
    return map?.[indexed[2] ?? ""] ?? "";
  }
  switch (path) {
    case "metadata.name":
      return pod.metadata.name ?? "";
    case "metadata.namespace":
      return pod.metadata.namespace ?? "";
    case "metadata.uid":
      return pod.metadata.uid ?? "";
    case "metadata.labels":
      return printMap(pod.metadata.labels);
    case "metadata.annotations":
      return printMap(pod.metadata.annotations);
    case "spec.nodeName":
      return pod.spec?.nodeName ?? "";
    case "spec.serviceAccountName":
      return pod.spec?.serviceAccountName ?? "";
    case "status.hostIP":
      return host.ips[0] ?? "";
    case "status.hostIPs":
      return host.ips.join(",");
    case "status.podIP":
      return host.podIPs[0] ?? "";
    case "status.podIPs":
      return host.podIPs.join(",");
    default:
      throw new Error(`unsupported fieldPath: ${path}`);
  }
}

/**
 * A container's request or limit as a whole number of divisors, rounded up. A missing limit is the
 * node's allocatable amount. Throws an Error that names an unsupported resource.
 */
export function resourceValue(
  container: Pick<Container, "resources">,
  { resource, divisor }: Pick<ResourceFieldSelector, "resource" | "divisor">,
  allocatable: Record<string, string>,
): string {
  const [part = "", ...rest] = resource.split(".");
  const name = rest.join(".");
  if ((part !== "limits" && part !== "requests") || !/^(cpu|memory|ephemeral-storage|hugepages-.+)$/.test(name)) {
    throw new Error(`unsupported container resource : ${resource}`);
  }
  const { limits, requests } = container.resources ?? {};
  const limit = limits?.[name] ?? allocatable[name] ?? "0";
  const amount = part === "limits" ? limit : (requests?.[name] ?? limits?.[name] ?? "0");
  const unit = divisor === undefined || compareQuantities(divisor, "0") === 0 ? "1" : divisor;
  // Thousandths for cpu, whole units for everything else, as upstream counts.
  const count = name === "cpu" ? quantityMilliValue : quantityValue;
  const [value, per] = [count(parseQuantity(amount)), count(parseQuantity(unit))];
  return (per === 0n ? 0n : (value + per - 1n) / per).toString();
}

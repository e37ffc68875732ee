/** Rules for services, as far as they do not depend on what other services were given. */
import {
  checkOneOf,
  checkUnique,
  dnsLabelErrors,
  dnsSubdomainErrors,
  duplicateValue,
  type FieldError,
  forbiddenValue,
  invalidAll,
  invalidValue,
  labelKeyErrors,
  legacyCidrErrors,
  legacyIpErrors,
  portErrors,
  requiredValue,
  requireText,
  validateLabels,
} from "../../meta/index.ts";
import { validateEndpointIp } from "../addresses.ts";
import { validatePort } from "../pod/validate-probes.ts";
import { isExternallyAccessible, isHeadless, needsHealthCheckPort, trafficPolicies } from "./rules.ts";
import type { Service, ServicePort, ServiceSpec } from "./schema.ts";
import { validateClusterIps } from "./validate-cluster-ips.ts";

const hintsAnnotation = "service.kubernetes.io/topology-aware-hints";
const modeAnnotation = "service.kubernetes.io/topology-mode";
const rangesAnnotation = "service.beta.kubernetes.io/load-balancer-source-ranges";
const protocols = ["SCTP", "TCP", "UDP"];

/** A service, new or changed. */
export function validateService(service: Service): FieldError[] {
  const spec = service.spec ?? {};
  const ports = spec.ports ?? [];
  const errors = validateTopology(service);
  if (ports.length === 0 && !isHeadless(service) && spec.type !== "ExternalName") {
    errors.push(requiredValue("spec.ports"));
  }
  errors.push(...validateType(service, spec));
  const names = new Set<string>();
  for (const [index, port] of ports.entries()) {
    errors.push(...validateServicePort(port, ports.length > 1, names, `spec.ports[${index}]`));
  }
  errors.push(...validateLabels(spec.selector, "spec.selector"), ...validateAffinity(spec));
  errors.push(...validateClusterIps(service), ...validateExternalIps(spec));
  errors.push(...checkOneOf("spec.type", spec.type, ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]));
  errors.push(...validateNodePorts(spec), ...validateUniquePorts(ports), ...validateSourceRanges(service));
  if (spec.allocateLoadBalancerNodePorts !== undefined && spec.type !== "LoadBalancer") {
    errors.push(forbiddenValue("spec.allocateLoadBalancerNodePorts", onlyForBalancers));
  }
  errors.push(...validateClass(spec), ...validateTraffic(service));
  return errors;
}

const onlyForBalancers = "may only be used when `type` is 'LoadBalancer'";

function validateTopology({ metadata: { annotations = {} } }: Service): FieldError[] {
  const { [hintsAnnotation]: hints, [modeAnnotation]: mode } = annotations;
  if (hints === undefined || mode === undefined || hints === mode) return [];
  const why = `must match annotations[${hintsAnnotation}] when both are specified`;
  return [invalidValue(`metadata.annotations[${modeAnnotation}]`, mode, why)];
}

function validateType(service: Service, spec: ServiceSpec): FieldError[] {
  const { type } = spec;
  if (type === "LoadBalancer" || type === "NodePort") {
    if (!isHeadless(service)) return [];
    return [invalidValue("spec.clusterIPs[0]", "None", `may not be set to 'None' for ${type} services`)];
  }
  if (type !== "ExternalName") return [];
  const errors: FieldError[] = [];
  const isSet = {
    clusterIPs: spec.clusterIPs?.length,
    ipFamilies: spec.ipFamilies?.length,
    ipFamilyPolicy: spec.ipFamilyPolicy !== undefined,
  };
  for (const [field, set] of Object.entries(isSet)) {
    if (set) errors.push(forbiddenValue(`spec.${field}`, "may not be set for ExternalName services"));
  }
  const name = (spec.externalName ?? "").replace(/\.$/, "");
  if (name === "") return [...errors, requiredValue("spec.externalName")];
  return [...errors, ...invalidAll("spec.externalName", name, dnsSubdomainErrors(name))];
}

function validateServicePort(port: ServicePort, needsName: boolean, names: Set<string>, at: string): FieldError[] {
  const { name = "", port: number = 0, protocol, targetPort, appProtocol } = port;
  const errors: FieldError[] = [];
  if (name)
    errors.push(...invalidAll(`${at}.name`, name, dnsLabelErrors(name)), ...checkUnique(`${at}.name`, name, names));
  else if (needsName) errors.push(requiredValue(`${at}.name`));
  errors.push(...invalidAll(`${at}.port`, number, portErrors(number)));
  errors.push(...checkOneOf(`${at}.protocol`, protocol, protocols), ...validatePort(`${at}.targetPort`, targetPort));
  if (appProtocol === undefined) return errors;
  return [...errors, ...invalidAll(`${at}.appProtocol`, appProtocol, labelKeyErrors(appProtocol))];
}

const longestAffinity = 86400;

function validateAffinity({ sessionAffinity, sessionAffinityConfig: config }: ServiceSpec): FieldError[] {
  const errors = checkOneOf("spec.sessionAffinity", sessionAffinity, ["ClientIP", "None"]);
  if (sessionAffinity !== "ClientIP") return errors;
  const seconds = config?.clientIP?.timeoutSeconds ?? 0;
  if (seconds > 0 && seconds <= longestAffinity) return errors;
  const why = `must be greater than 0 and less than ${longestAffinity}`;
  return [...errors, invalidValue("spec.sessionAffinityConfig.clientIP.timeoutSeconds", seconds, why)];
}

const validateExternalIps = ({ externalIPs = [] }: ServiceSpec): FieldError[] =>
  externalIPs.flatMap((ip, index) => {
    const field = `spec.externalIPs[${index}]`;
    const errors = legacyIpErrors(field, ip);
    return errors.length > 0 ? errors : validateEndpointIp(field, ip);
  });

function validateNodePorts({ type, ports = [] }: ServiceSpec): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  for (const [index, { nodePort }] of ports.entries()) {
    if (type !== "ClusterIP" || !nodePort) continue;
    errors.push(forbiddenValue(`spec.ports[${index}].nodePort`, "may not be used when `type` is 'ClusterIP'"));
  }
  for (const [index, { nodePort, protocol }] of ports.entries()) {
    if (!nodePort) continue;
    const key = `${protocol}/${nodePort}`;
    if (seen.has(key)) errors.push(duplicateValue(`spec.ports[${index}].nodePort`, nodePort));
    seen.add(key);
  }
  return errors;
}

function validateUniquePorts(ports: readonly ServicePort[]): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  for (const [index, { port, protocol }] of ports.entries()) {
    const key = `${protocol}/${port}`;
    if (seen.has(key)) {
      // Upstream shows the key as a whole port of its internal type.
      const shown = { Name: "", Protocol: protocol, AppProtocol: null, Port: port, TargetPort: 0, NodePort: 0 };
      errors.push(duplicateValue(`spec.ports[${index}]`, shown));
    }
    seen.add(key);
  }
  return errors;
}

function validateSourceRanges({ spec = {}, metadata }: Service): FieldError[] {
  const ranges = spec.loadBalancerSourceRanges ?? [];
  const annotation = metadata.annotations?.[rangesAnnotation];
  const isBalancer = spec.type === "LoadBalancer";
  if (ranges.length > 0) {
    const path = "spec.LoadBalancerSourceRanges";
    return [
      ...(isBalancer ? [] : [forbiddenValue(path, onlyForBalancers)]),
      ...ranges.flatMap((range, index) => legacyCidrErrors(`${path}[${index}]`, range.trim())),
    ];
  }
  if (annotation === undefined) return [];
  const path = `metadata.annotations[${rangesAnnotation}]`;
  const annotated = annotation.trim() === "" ? [] : annotation.split(",");
  return [
    ...(isBalancer ? [] : [forbiddenValue(path, onlyForBalancers)]),
    ...annotated.flatMap((range) => legacyCidrErrors(path, range.trim())),
  ];
}

function validateClass({ type, loadBalancerClass: name }: ServiceSpec): FieldError[] {
  if (name === undefined) return [];
  const field = "spec.loadBalancerClass";
  if (type !== "LoadBalancer") return [forbiddenValue(field, onlyForBalancers)];
  return invalidAll(field, name, labelKeyErrors(name));
}

function validateTraffic(service: Service): FieldError[] {
  const {
    externalTrafficPolicy,
    healthCheckNodePort = 0,
    internalTrafficPolicy,
    trafficDistribution,
  } = service.spec ?? {};
  const errors: FieldError[] = [];
  const external = "spec.externalTrafficPolicy";
  if (isExternallyAccessible(service)) {
    errors.push(...requireText(external, externalTrafficPolicy));
    if (externalTrafficPolicy) errors.push(...checkOneOf(external, externalTrafficPolicy, ["Cluster", "Local"]));
  } else if (externalTrafficPolicy) {
    const why = "may only be set for externally-accessible services";
    errors.push(invalidValue(external, externalTrafficPolicy, why));
  }
  const health = "spec.healthCheckNodePort";
  if (needsHealthCheckPort(service)) {
    // An absent value is allocated after validation here, and before it in upstream.
    if (healthCheckNodePort !== 0)
      errors.push(...invalidAll(health, healthCheckNodePort, portErrors(healthCheckNodePort)));
  } else if (healthCheckNodePort !== 0) {
    const why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
    errors.push(invalidValue(health, healthCheckNodePort, why));
  }
  errors.push(...checkOneOf("spec.internalTrafficPolicy", internalTrafficPolicy, trafficPolicies));
  const distributions = ["PreferClose", "PreferSameZone", "PreferSameNode"];
  return [...errors, ...checkOneOf("spec.trafficDistribution", trafficDistribution, distributions)];
}

/** A load balancer's state. */
export function validateStatus({ spec, status }: Service, previous: Service): FieldError[] {
  const ingress = status?.loadBalancer?.ingress ?? [];
  const path = "status.loadBalancer.ingress";
  if (spec?.type !== "LoadBalancer") {
    return ingress.length === 0 ? [] : [forbiddenValue(path, "may only be used when `spec.type` is 'LoadBalancer'")];
  }
  const accepted = (previous.status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => ip ?? []);
  const errors: FieldError[] = [];
  for (const [index, { ip, ipMode, hostname }] of ingress.entries()) {
    const at = `${path}[${index}]`;
    if (ip) errors.push(...legacyIpErrors(`${at}.ip`, ip, accepted));
    if (ipMode === undefined) {
      if (ip) errors.push(requiredValue(`${at}.ipMode`, "must be specified when `ip` is set"));
    } else if (!ip) errors.push(forbiddenValue(`${at}.ipMode`, "may not be specified when `ip` is not set"));
    else errors.push(...checkOneOf(`${at}.ipMode`, ipMode, ["Proxy", "VIP"]));
    if (!hostname) continue;
    errors.push(...invalidAll(`${at}.hostname`, hostname, dnsSubdomainErrors(hostname)));
    if (legacyIpErrors("", hostname).length === 0) {
      errors.push(invalidValue(`${at}.hostname`, hostname, "must be a DNS name, not an IP address"));
    }
  }
  return errors;
}

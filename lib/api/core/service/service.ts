import { ageColumn, cidrWarnings, defineKind, ipWarnings, type Kind, nameColumn } from "../../meta/index.ts";
import { applyDefaults, prepareForCreate, prepareForUpdate, setIpModes } from "./prepare.ts";
import { serviceProxy } from "./proxy.ts";
import { isHeadless } from "./rules.ts";
import { Service, type ServicePort } from "./schema.ts";
import { validateService, validateStatus } from "./validate.ts";
import { validateServiceUpdate } from "./validate-cluster-ips.ts";

export const services: Kind<Service> = defineKind<Service>({
  group: "",
  version: "v1",
  kind: "Service",
  plural: "services",
  singular: "service",
  shortNames: ["svc"],
  categories: ["all"],
  scope: "Namespaced",
  name: "dns-label",
  schema: Service,
  defaults: applyDefaults,
  validate: validateService,
  validateUpdate: validateServiceUpdate,
  prepareForCreate,
  prepareForUpdate,
  createOnUpdate: true,
  deleteReturnsObject: true,
  warnings,
  subresources: {
    status: { type: "status", prepare: ({ status }) => setIpModes(status), validate: validateStatus },
    proxy: serviceProxy(() => services),
  },
  fields: {
    "spec.clusterIP": ({ spec }) => spec?.clusterIP ?? "",
    "spec.type": ({ spec }) => spec?.type ?? "",
  },
  columns: [
    nameColumn,
    { name: "Type", type: "string", doc: "How the service is offered.", value: ({ spec }) => spec?.type ?? "" },
    {
      name: "Cluster-IP",
      type: "string",
      doc: "The service's address.",
      value: ({ spec }) => spec?.clusterIPs?.[0] ?? none,
    },
    { name: "External-IP", type: "string", doc: "External addresses.", value: externalText },
    {
      name: "Port(s)",
      type: "string",
      doc: "The service's ports.",
      value: ({ spec }) => (spec?.ports ?? []).map(portText).join(",") || none,
    },
    ageColumn,
    {
      name: "Selector",
      type: "string",
      priority: 1,
      doc: "Labels of the pods behind it.",
      value: ({ spec }) => labelsText(spec?.selector),
    },
  ],
});

const none = "<none>";

function labelsText(labels: Readonly<Record<string, string>> | undefined): string {
  const pairs = Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`);
  return pairs.sort().join(",") || none;
}

const portText = ({ port, nodePort, protocol }: ServicePort): string =>
  nodePort ? `${port}:${nodePort}/${protocol}` : `${port}/${protocol}`;

function externalText({ spec, status }: Service): string {
  const own = spec?.externalIPs ?? [];
  if (spec?.type === "ExternalName") return spec.externalName ?? "";
  if (spec?.type !== "LoadBalancer") return own.join(",") || none;
  const given = (status?.loadBalancer?.ingress ?? []).flatMap(({ ip, hostname }) => ip || hostname || []);
  return [...[...new Set(given)].sort(), ...own].join(",") || "<pending>";
}

function warnings(object: Service): string[] {
  const { metadata, spec = {} } = object;
  const found: string[] = [];
  const say = (condition: unknown, text: string): void => void (condition && found.push(text));
  const hints = "service.kubernetes.io/topology-aware-hints";
  const mode = "service.kubernetes.io/topology-mode";
  const headless = isHeadless(object);
  const external = !!spec.externalIPs?.length;
  const named = spec.type === "ExternalName";
  say(metadata.annotations?.[hints] !== undefined, `annotation ${hints} is deprecated, please use ${mode} instead`);
  const addresses = (list: readonly string[] | undefined, field: string) =>
    found.push(...(list ?? []).flatMap((ip, index) => ipWarnings(`spec.${field}[${index}]`, ip)));
  if (spec.clusterIP && spec.clusterIP !== "None") addresses(spec.clusterIPs, "clusterIPs");
  if (headless) {
    say(spec.loadBalancerIP, "spec.loadBalancerIP is ignored for headless services");
    say(external, "spec.externalIPs is ignored for headless services");
    say(spec.sessionAffinity !== "None", "spec.SessionAffinity is ignored for headless services");
  }
  const old = "spec.externalIPs is deprecated and may no longer be implemented in some clusters";
  addresses(spec.externalIPs, "externalIPs");
  say(external && !headless && !named, old);
  if (spec.loadBalancerIP) found.push(...ipWarnings("spec.loadBalancerIP", spec.loadBalancerIP));
  for (const [index, cidr] of (spec.loadBalancerSourceRanges ?? []).entries()) {
    found.push(...cidrWarnings(`spec.loadBalancerSourceRanges[${index}]`, cidr));
  }
  say(named && external, 'spec.externalIPs is ignored when spec.type is "ExternalName"');
  say(!named && spec.externalName, 'spec.externalName is ignored when spec.type is not "ExternalName"');
  const close = 'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"';
  say(spec.trafficDistribution === "PreferClose", close);
  return found;
}

import { ageColumn, cidrWarnings, defineKind, type Kind, nameColumn } from "../../meta/index.ts";
import { nodeProxy } from "./proxy.ts";
import { Node } from "./schema.ts";
import { validateNode, validateNodeStatus, validateNodeUpdate } from "./validate.ts";

export const nodes: Kind<Node> = defineKind<Node>({
  group: "",
  version: "v1",
  kind: "Node",
  plural: "nodes",
  singular: "node",
  shortNames: ["no"],
  scope: "Cluster",
  schema: Node,
  defaults(object) {
    const { spec, status } = object;
    // podCIDR is the older spelling of the first of podCIDRs: each fills the other, and it wins where they differ.
    if (spec?.podCIDR && spec.podCIDR !== spec.podCIDRs?.[0]) spec.podCIDRs = [spec.podCIDR];
    if (spec?.podCIDRs?.length) spec.podCIDR = spec.podCIDRs[0];
    if (status?.capacity && !status.allocatable) status.allocatable = { ...status.capacity };
  },
  // A node may be created with its status, as kubelets do.
  keepsStatusOnCreate: true,
  prepareForCreate({ spec, status }) {
    delete spec?.configSource;
    delete status?.config;
  },
  prepareForUpdate(next, previous) {
    if (!previous.spec?.configSource) delete next.spec?.configSource;
  },
  warnings({ spec }) {
    const warnings: string[] = [];
    if (spec?.configSource) warnings.push("spec.configSource: the feature is removed");
    if (spec?.externalID) {
      warnings.push("spec.externalID: this field is deprecated, and is unused by Kubernetes");
    }
    for (const [index, cidr] of (spec?.podCIDRs ?? []).entries()) {
      warnings.push(...cidrWarnings(`spec.podCIDRs[${index}]`, cidr));
    }
    return warnings;
  },
  validate: validateNode,
  validateUpdate: validateNodeUpdate,
  subresources: {
    status: {
      type: "status",
      prepare(next, previous) {
        if (!previous.status?.config) delete next.status?.config;
      },
      validate: validateNodeStatus,
    },
    proxy: nodeProxy(() => nodes),
  },
  fields: { "spec.unschedulable": ({ spec }) => String(spec?.unschedulable ?? false) },
  columns: [
    nameColumn,
    { name: "Status", type: "string", doc: "Whether the node is ready.", value: statusText },
    { name: "Roles", type: "string", doc: "The node's roles.", value: (object) => rolesOf(object).join(",") || none },
    ageColumn,
    {
      name: "Version",
      type: "string",
      doc: "Version of the kubelet.",
      value: ({ status }) => status?.nodeInfo?.kubeletVersion ?? "",
    },
    wide("Internal-IP", "Address inside the cluster's network.", (object) => addressOf(object, "InternalIP")),
    wide("External-IP", "Address outside.", (object) => addressOf(object, "ExternalIP")),
    wide("OS-Image", "Operating system.", ({ status }) => status?.nodeInfo?.osImage || unknown),
    wide("Kernel-Version", "Version of the kernel.", kernelText),
    wide("Container-Runtime", "The container runtime.", runtimeText),
  ],
});

function wide(name: string, doc: string, value: (object: Node) => string) {
  return { name, type: "string" as const, priority: 1, doc, value };
}

const none = "<none>";
const unknown = "<unknown>";

function statusText({ spec, status }: Node): string {
  const ready = status?.conditions?.findLast(({ type }) => type === "Ready");
  const text = ready ? (ready.status === "True" ? "Ready" : "NotReady") : "Unknown";
  return spec?.unschedulable ? `${text},SchedulingDisabled` : text;
}

const rolePrefix = "node-role.kubernetes.io/";
const roleLabel = "kubernetes.io/role";

function rolesOf({ metadata }: Node): string[] {
  const roles = new Set<string>();
  for (const [key, value] of Object.entries(metadata.labels ?? {})) {
    if (key.startsWith(rolePrefix) && key !== rolePrefix) roles.add(key.slice(rolePrefix.length));
    if (key === roleLabel && value !== "") roles.add(value);
  }
  return [...roles].sort();
}

const addressOf = ({ status }: Node, type: string): string =>
  status?.addresses?.find((address) => address.type === type)?.address ?? none;

function kernelText({ status }: Node): string {
  const { kernelVersion, architecture } = status?.nodeInfo ?? {};
  return `${kernelVersion || unknown}${architecture ? ` (${architecture})` : ""}`;
}

function runtimeText({ status }: Node): string {
  return status?.nodeInfo?.containerRuntimeVersion || unknown;
}

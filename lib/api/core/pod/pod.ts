import { defineKind, dnsLabelErrors, type Kind } from "../../meta/index.ts";
import { podColumns } from "./columns.ts";
import { applyPodDefaults } from "./defaults.ts";
import { hasEnded } from "./phase.ts";
import { prepareForCreate, prepareForUpdate } from "./prepare.ts";
import { podProxy } from "./proxy.ts";
import { resize } from "./resize.ts";
import { Pod } from "./spec.ts";
import { attach, binding, ephemeralContainers, exec, log, portforward, status } from "./subresources.ts";
import { validateNewPod, validatePod } from "./validate-spec.ts";
import { validatePodUpdate } from "./validate-update.ts";
import { podWarnings } from "./warnings.ts";

export const pods: Kind<Pod> = defineKind<Pod>({
  group: "",
  version: "v1",
  kind: "Pod",
  plural: "pods",
  singular: "pod",
  shortNames: ["po"],
  categories: ["all"],
  scope: "Namespaced",
  schema: Pod,
  defaults: applyPodDefaults,
  warnings({ metadata, spec }, previous) {
    if (previous) return [];
    const wrong = dnsLabelErrors(metadata.name ?? "");
    const why = "this is used in the Pod's hostname, which can result in surprising behavior";
    const name = `metadata.name: ${why}; a DNS label is recommended: [${wrong.join(" ")}]`;
    return [...(wrong.length > 0 ? [name] : []), ...podWarnings({ metadata, spec })];
  },
  validate: validatePod,
  validateCreate: validateNewPod,
  validateUpdate: validatePodUpdate,
  prepareForCreate,
  prepareForUpdate,
  // The scheduler's choice of a node does not raise the generation.
  generation: ({ spec }) => ({ ...spec, nodeName: undefined }),
  gracePeriod({ spec, status: state }, { gracePeriodSeconds }) {
    if (!spec?.nodeName || hasEnded({ status: state })) return 0;
    const seconds = gracePeriodSeconds ?? spec.terminationGracePeriodSeconds ?? 0;
    return seconds < 0 ? 1 : seconds;
  },
  deleteReturnsObject: true,
  subresources: {
    status,
    ephemeralcontainers: ephemeralContainers,
    resize,
    binding,
    log,
    exec,
    attach,
    portforward,
    proxy: podProxy(() => pods),
  },
  columns: podColumns,
  rowConditions({ status: state }) {
    const ends: Record<string, string> = {
      Succeeded: "The pod has completed successfully.",
      Failed: "The pod failed.",
    };
    const message = ends[state?.phase ?? ""];
    return message === undefined ? [] : [{ type: "Completed", status: "True", reason: state!.phase!, message }];
  },
  shards: 4,
  fields: {
    "spec.nodeName": ({ spec }) => spec?.nodeName ?? "",
    "spec.restartPolicy": ({ spec }) => spec?.restartPolicy ?? "",
    "spec.schedulerName": ({ spec }) => spec?.schedulerName ?? "",
    "spec.serviceAccountName": ({ spec }) => spec?.serviceAccountName ?? "",
    "spec.hostNetwork": ({ spec }) => String(spec?.hostNetwork ?? false),
    "status.phase": ({ status: state }) => state?.phase ?? "",
    "status.podIP": ({ status: state }) => state?.podIPs?.[0]?.ip ?? "",
    "status.podIPs": ({ status: state }) => state?.podIPs?.[0]?.ip ?? "",
    "status.nominatedNodeName": ({ status: state }) => state?.nominatedNodeName ?? "",
  },
  fieldAliases: { "spec.host": "spec.nodeName" },
});

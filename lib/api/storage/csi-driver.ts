import type * as z from "zod";
import { deepEqual } from "#base";
import {
  ageColumn,
  boolean,
  defineKind,
  duplicateValue,
  type FieldError,
  int64,
  invalidValue,
  list,
  message,
  metadataField,
  nameColumn,
  notSupported,
  optional,
  required,
  string,
} from "../meta/index.ts";

export const CSITokenRequest = message("io.k8s.api.storage.v1.TokenRequest", () => ({
  audience: required(1, string, "The audience of the token; empty for the API server's own."),
  expirationSeconds: optional(2, int64, "How long the token is valid.", { isPointer: true }),
}));
export type CSITokenRequest = z.infer<typeof CSITokenRequest>;

export const CSIDriverSpec = message("io.k8s.api.storage.v1.CSIDriverSpec", () => ({
  attachRequired: optional(1, boolean, "Whether volumes are attached to a node before they are mounted.", {
    default: true,
    isPointer: true,
  }),
  podInfoOnMount: optional(2, boolean, "Whether the driver receives the pod's name, namespace and uid.", {
    default: false,
    isPointer: true,
  }),
  volumeLifecycleModes: optional(3, list(string), "Persistent for claims, Ephemeral for volumes in a pod's spec.", {
    list: "set",
  }),
  storageCapacity: optional(4, boolean, "Whether scheduling considers the capacity that the driver reports.", {
    default: false,
    isPointer: true,
  }),
  fsGroupPolicy: optional(
    5,
    string,
    "When the node changes the group of files: ReadWriteOnceWithFSType, File or None.",
    {
      default: "ReadWriteOnceWithFSType",
      isPointer: true,
    },
  ),
  tokenRequests: optional(
    6,
    list(CSITokenRequest),
    "The tokens of the pod's service account that the driver receives.",
    {
      list: "atomic",
    },
  ),
  requiresRepublish: optional(7, boolean, "Whether volumes are published again at intervals.", {
    default: false,
    isPointer: true,
  }),
  seLinuxMount: optional(8, boolean, "Whether the driver supports the mount option `context`.", {
    default: false,
    isPointer: true,
  }),
  nodeAllocatableUpdatePeriodSeconds: optional(9, int64, "How often the node reads its count of volumes again.", {
    isPointer: true,
  }),
  serviceAccountTokenInSecrets: optional(10, boolean, "Whether tokens are passed as secrets.", { isPointer: true }),
  preventPodSchedulingIfMissing: optional(11, boolean, "Whether pods are kept off nodes without the driver.", {
    default: false,
    isPointer: true,
  }),
}));
export type CSIDriverSpec = z.infer<typeof CSIDriverSpec>;

export const CSIDriver = message("io.k8s.api.storage.v1.CSIDriver", () => ({
  metadata: metadataField(),
  spec: required(2, CSIDriverSpec, "How Kubernetes works with the driver."),
}));
export type CSIDriver = z.infer<typeof CSIDriver>;

/** CSI drivers of the cluster, by the name that the driver reports. */
export const csiDrivers = defineKind<CSIDriver>({
  group: "storage.k8s.io",
  version: "v1",
  kind: "CSIDriver",
  plural: "csidrivers",
  singular: "csidriver",
  scope: "Cluster",
  schema: CSIDriver,
  conditionalUpdate: true,
  generation: ({ spec }) => spec,
  defaults({ spec }) {
    // The list has a default too, which a client may not have sent as an empty list.
    if (spec && !spec.volumeLifecycleModes?.length) spec.volumeLifecycleModes = ["Persistent"];
  },
  validate: ({ spec }) => validateSpec(spec),
  validateUpdate: (next, previous) => [
    ...unchanged("spec.attachedRequired", next.spec?.attachRequired, previous?.spec?.attachRequired),
    ...unchanged("spec.volumeLifecycleModes", next.spec?.volumeLifecycleModes, previous?.spec?.volumeLifecycleModes),
  ],
  warnings: (next, previous) => {
    const { tokenRequests = [], serviceAccountTokenInSecrets } = next.spec ?? {};
    const isNew = !previous || !deepEqual(previous?.spec?.tokenRequests ?? [], tokenRequests);
    return isNew && tokenRequests.length > 0 && serviceAccountTokenInSecrets === undefined ? [tokensInAttributes] : [];
  },
  columns: [
    nameColumn,
    {
      name: "AttachRequired",
      type: "boolean",
      doc: "Whether volumes are attached.",
      value: ({ spec }) => spec?.attachRequired ?? true,
    },
    {
      name: "PodInfoOnMount",
      type: "boolean",
      doc: "Whether the driver receives the pod's name.",
      value: ({ spec }) => spec?.podInfoOnMount ?? false,
    },
    {
      name: "StorageCapacity",
      type: "boolean",
      doc: "Whether scheduling considers the capacity.",
      value: ({ spec }) => spec?.storageCapacity ?? false,
    },
    {
      name: "TokenRequests",
      type: "string",
      doc: "Audiences of the tokens.",
      value: ({ spec }) => spec?.tokenRequests?.map(({ audience }) => audience ?? "").join(",") ?? "<unset>",
    },
    {
      name: "RequiresRepublish",
      type: "boolean",
      doc: "Whether volumes are published again.",
      value: ({ spec }) => spec?.requiresRepublish ?? false,
    },
    {
      name: "Modes",
      type: "string",
      doc: "The modes of its volumes.",
      value: ({ spec }) => spec?.volumeLifecycleModes?.join(",") || "<none>",
    },
    ageColumn,
  ],
});

const tokensInAttributes =
  "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible logging of tokens in volume attributes";

const unchanged = (field: string, next: unknown, previous: unknown): FieldError[] =>
  deepEqual(next, previous) ? [] : [invalidValue(field, next, "field is immutable")];

/** Upstream's validateCSIDriverSpec; fields with a default are never absent. */
function validateSpec(spec: CSIDriverSpec = {}): FieldError[] {
  const { fsGroupPolicy, volumeLifecycleModes = [], tokenRequests = [] } = spec;
  const errors: FieldError[] = [];
  const policies = ["File", "None", "ReadWriteOnceWithFSType"];
  if (fsGroupPolicy !== undefined && !policies.includes(fsGroupPolicy)) {
    errors.push(notSupported("spec.fsGroupPolicy", fsGroupPolicy, policies));
  }
  errors.push(...tokenErrors(tokenRequests));
  const modes = ["Persistent", "Ephemeral"];
  for (const mode of volumeLifecycleModes) {
    if (!modes.includes(mode)) errors.push(notSupported("spec.volumeLifecycleModes", mode, modes));
  }
  const period = spec.nodeAllocatableUpdatePeriodSeconds;
  if (period !== undefined && Number(period) < 10) {
    const field = "spec.nodeAllocatableUpdatePeriodSeconds";
    errors.push(invalidValue(field, period, "must be greater than or equal to 10 seconds"));
  }
  if (spec.serviceAccountTokenInSecrets !== undefined && tokenRequests.length === 0) {
    const why = "serviceAccountTokenInSecrets is set but no tokenRequests are specified";
    errors.push(invalidValue("spec.serviceAccountTokenInSecrets", spec.serviceAccountTokenInSecrets, why));
  }
  return errors;
}

function tokenErrors(requests: readonly CSITokenRequest[]): FieldError[] {
  const errors: FieldError[] = [];
  const audiences = new Set<string>();
  for (const [index, { audience = "", expirationSeconds }] of requests.entries()) {
    const path = `spec.tokenRequests[${index}]`;
    if (audiences.has(audience)) {
      errors.push(duplicateValue(`${path}.audience`, audience));
      continue;
    }
    audiences.add(audience);
    if (expirationSeconds === undefined) continue;
    const refuse = (why: string) => errors.push(invalidValue(`${path}.expirationSeconds`, expirationSeconds, why));
    if (Number(expirationSeconds) < 600) refuse("may not specify a duration less than 10 minutes");
    if (Number(expirationSeconds) > 2 ** 32) refuse("may not specify a duration larger than 2^32 seconds");
  }
  return errors;
}

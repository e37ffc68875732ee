import type * as z from "zod";
import {
  ageColumn,
  defineKind,
  type FieldError,
  int32,
  invalidValue,
  message,
  metadataField,
  microTime,
  nameColumn,
  optional,
  string,
} from "../meta/index.ts";

export const LeaseSpec = message("io.k8s.api.coordination.v1.LeaseSpec", () => ({
  holderIdentity: optional(1, string, "The holder of the lease; empty when it has none.", { isPointer: true }),
  leaseDurationSeconds: optional(2, int32, "How long others wait after renewTime before they may take the lease.", {
    isPointer: true,
  }),
  acquireTime: optional(3, microTime, "When the current holder acquired the lease."),
  renewTime: optional(4, microTime, "When the current holder last renewed it."),
  leaseTransitions: optional(5, int32, "Number of changes of the holder.", { isPointer: true }),
  strategy: optional(6, string, "Strategy of a coordinated election.", { isPointer: true }),
  preferredHolder: optional(7, string, "The preferred next holder of the lease.", { isPointer: true }),
}));
export type LeaseSpec = z.infer<typeof LeaseSpec>;

export const Lease = message("io.k8s.api.coordination.v1.Lease", () => ({
  metadata: metadataField(),
  spec: optional(2, LeaseSpec, "Desired state of the lease.", { printed: true }),
}));
export type Lease = z.infer<typeof Lease>;

export const leases = defineKind<Lease>({
  group: "coordination.k8s.io",
  version: "v1",
  kind: "Lease",
  plural: "leases",
  singular: "lease",
  scope: "Namespaced",
  schema: Lease,
  createOnUpdate: true,
  conditionalUpdate: true,
  shards: 4,
  // Coordinated elections are off in v1.36 unless a feature gate is set: upstream drops what belongs to them.
  prepareForCreate: dropElection,
  prepareForUpdate(next, previous) {
    if (previous.spec?.strategy === undefined) delete next.spec?.strategy;
    if (previous.spec?.preferredHolder === undefined) delete next.spec?.preferredHolder;
  },
  validate({ spec = {} }) {
    const errors: FieldError[] = [];
    const { leaseDurationSeconds, leaseTransitions } = spec;
    if (leaseDurationSeconds !== undefined && leaseDurationSeconds <= 0) {
      errors.push(invalidValue("spec.leaseDurationSeconds", leaseDurationSeconds, "must be greater than 0"));
    }
    if (leaseTransitions !== undefined && leaseTransitions < 0) {
      errors.push(invalidValue("spec.leaseTransitions", leaseTransitions, "must be greater than or equal to 0"));
    }
    return errors;
  },
  columns: [
    nameColumn,
    {
      name: "Holder",
      type: "string",
      doc: "The holder of the lease.",
      value: ({ spec }) => spec?.holderIdentity ?? "",
    },
    ageColumn,
  ],
});

function dropElection({ spec }: Lease): void {
  delete spec?.strategy;
  delete spec?.preferredHolder;
}

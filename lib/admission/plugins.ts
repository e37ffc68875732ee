import { certificateApproval, certificateSigning, certificateSubjectRestriction } from "./plugins/certificates.ts";
import { defaultTolerationSeconds } from "./plugins/default-toleration-seconds.ts";
import { namespaceLifecycle } from "./plugins/namespace-lifecycle.ts";
import { nodeRestriction } from "./plugins/node-restriction.ts";
import { priority } from "./plugins/priority.ts";
import { runtimeClass } from "./plugins/runtime-class.ts";
import { serviceAccounts } from "./plugins/service-account.ts";
import { type AllocationRanges, serviceAllocation } from "./plugins/service-allocation.ts";
import { taintNodesByCondition } from "./plugins/taint-nodes-by-condition.ts";
import { tokenSecrets } from "./plugins/token-secret.ts";
import type { Plugin } from "./port.ts";

export interface AdmissionOptions extends AllocationRanges {
  /** Reads the certificate authority in PEM, for secrets with tokens. */
  ca: () => Promise<string>;
}

/** The chain in the order in which it runs. */
export const admissionPlugins = (options: AdmissionOptions): Plugin[] => [
  namespaceLifecycle,
  nodeRestriction,
  taintNodesByCondition,
  serviceAccounts,
  priority,
  defaultTolerationSeconds,
  runtimeClass,
  tokenSecrets(options.ca),
  certificateApproval,
  certificateSigning,
  certificateSubjectRestriction,
  serviceAllocation(options),
];

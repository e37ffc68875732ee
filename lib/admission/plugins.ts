import { defaultTolerationSeconds } from "./plugins/default-toleration-seconds.ts";
import { namespaceLifecycle } from "./plugins/namespace-lifecycle.ts";
import { nodeRestriction } from "./plugins/node-restriction.ts";
import { priority } from "./plugins/priority.ts";
import { runtimeClass } from "./plugins/runtime-class.ts";
import { serviceAccounts } from "./plugins/service-account.ts";
import { type AllocationRanges, serviceAllocation } from "./plugins/service-allocation.ts";
import { taintNodesByCondition } from "./plugins/taint-nodes-by-condition.ts";
import type { Plugin } from "./port.ts";

/** The chain in the order in which it runs. */
export const admissionPlugins = (ranges: AllocationRanges): Plugin[] => [
  namespaceLifecycle,
  nodeRestriction,
  taintNodesByCondition,
  serviceAccounts,
  priority,
  defaultTolerationSeconds,
  runtimeClass,
  serviceAllocation(ranges),
];

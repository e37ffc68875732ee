import type { Pod } from "./spec.ts";

/** Whether a pod's containers have ended for good: its phase is Succeeded or Failed (upstream's IsPodTerminal). */
export const hasEnded = ({ status }: Pick<Pod, "status">): boolean =>
  status?.phase === "Succeeded" || status?.phase === "Failed";

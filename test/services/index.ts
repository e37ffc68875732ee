/** Services with their endpoints, and the rules that upstream's kube-proxy writes for them. */
import { readFileSync } from "node:fs";

export { node, node6, type Row, rows, rows6 } from "./objects.ts";

/** The input of iptables-restore, or ip6tables-restore, that kube-proxy v1.37.2 wrote; record.ts records it. */
export const recordedIptables = (program: "iptables" | "ip6tables"): string =>
  readFileSync(new URL(`./data/${program}.txt`, import.meta.url), "utf8");

/** Services with their endpoints, and the rules that upstream's kube-proxy writes for them. */
import { readFileSync } from "node:fs";

export { node, type Row, rows } from "./objects.ts";

/** The input of iptables-restore that kube-proxy v1.37.2 wrote; record.ts records it. */
export const recordedIptables = (): string => readFileSync(new URL("./data/iptables.txt", import.meta.url), "utf8");

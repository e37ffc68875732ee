/**
 * The agent's side of the link: it dials the server by WebSocket and serves HTTP/2 over it. Logs and statistics are
 * plain requests; exec, attach and port-forward arrive as the client's own connection, in each protocol of Kubernetes
 * clients. It opens no port; the server authorizes the requests.
 */
export { Link, type LinkOptions } from "./dial.ts";
export { type LinkServer, MovingLink } from "./moving-link.ts";
export type { LinkedPods } from "./pods.ts";
export { type UpgradeOptions, type Upgrades, upgradeServer } from "./upgrades.ts";

/**
 * The logs of containers, read from CloudWatch Logs, where nodes send them: for API servers without connections to
 * nodes. It writes nothing, and opens no connection to a node.
 */
export { type LogLinkOptions, logLinks } from "./links.ts";
export { type PodLogs, podLogs } from "./pod-logs.ts";

/**
 * What containers said, read from CloudWatch Logs, where nodes send it: the way to the nodes for those who have none.
 * It writes nothing, and opens no connection to a node.
 */
export { type LogLinkOptions, logLinks } from "./links.ts";
export { type PodLogs, podLogs } from "./pod-logs.ts";

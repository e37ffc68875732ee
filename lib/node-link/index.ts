/**
 * The encoding of requests to nodes, shared by the API server, the hosts, the functions and the agents. It opens no
 * connection.
 */
export { linkSessionMemory } from "./limits.ts";
export { decodeNodeRequest, encodeNodeRequest, logStart, nodeRequestText } from "./request.ts";

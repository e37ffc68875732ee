/**
 * The spelling of requests to nodes: what the API server, the hosts, the functions and the agents agree on. It opens no
 * connection.
 */
export { decodeNodeRequest, encodeNodeRequest, logStart, nodeRequestText } from "./request.ts";

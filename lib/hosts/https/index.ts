/**
 * The API server on node:https and node:http2: sockets to plain requests and plain responses to sockets, and the server's side of
 * the agents' links. It decides nothing about a request.
 */
export { createLinks, type Links } from "./links.ts";
export { type Host, type HostOptions, serve } from "./serve.ts";

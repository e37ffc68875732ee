/**
 * SPDY/3.1 framing over any duplex stream, both ends: what runtimes and Kubernetes clients speak for exec, attach and
 * port-forward. It opens no connection and knows no pod.
 */
export { type SpdyConnection, type SpdyOptions, spdyOver } from "./connection.ts";

/**
 * SPDY/3.1 framing over any duplex stream, both ends: the protocol of runtimes and Kubernetes clients for exec, attach
 * and port-forward. It opens no connection and knows no pod.
 */
export { SpdyConnection, type SpdyOptions } from "./connection.ts";

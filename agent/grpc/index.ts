/**
 * gRPC over unix sockets: services and messages as compact tables, and a connection. It knows no service: drivers of
 * runtimes and of volumes have the tables.
 */

export { status } from "@grpc/grpc-js";
export { CallError, type CallOptions, Channel, codeName } from "./channel.ts";
export { compileServices, type Method, type ServiceTable } from "./codec.ts";

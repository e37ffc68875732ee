/** EndpointSlice: the endpoints of a service. */
export * from "./endpoint-slice.ts";
export * from "./schema.ts";

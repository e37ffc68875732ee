/** EndpointSlice: where a service's traffic goes. */
export * from "./endpoint-slice.ts";
export * from "./schema.ts";

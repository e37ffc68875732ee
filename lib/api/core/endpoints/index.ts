/** Endpoints: the older list of a service's endpoints. */
export * from "./endpoints.ts";
export * from "./schema.ts";

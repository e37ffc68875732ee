/** Deployment: pods by the number, replaced step by step when their template changes. */
export * from "./deployment.ts";
export * from "./schema.ts";

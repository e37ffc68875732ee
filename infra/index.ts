/**
 * The AWS resources: the CDK app, its configuration, and the table of functions. Functions are named by their folders
 * and never imported. Tests run a cluster without AWS by the wiring of the templates.
 */

export { type CloudOptions, cloud } from "./app.ts";
export { type Bundles, bundle } from "./bundle.ts";
export { type Config, parseConfig, readConfig } from "./config.ts";
export { type FunctionName, functionNames, functions } from "./functions.ts";
export { type Placed, Resolver, type Template } from "./resolve.ts";
export { readTemplates } from "./templates.ts";
export type { WaitInput } from "./wait.ts";
export * from "./wiring.ts";

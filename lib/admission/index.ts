/**
 * What happens to a write between authorization and the store: plugins that change it, then plugins that refuse it,
 * in upstream's order. They use the API through the client port and never see a request's bytes.
 */

export { admissionPlugins } from "./plugins.ts";
export type { AdmissionContext, AdmissionRequest, Operation, Plugin } from "./port.ts";

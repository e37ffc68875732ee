/**
 * Admission: plugins that change a write, then plugins that refuse it, in upstream's order. They use the API through
 * the client port and never see a request's bytes.
 */

export { admissionPlugins } from "./plugins.ts";
export type { AdmissionContext, AdmissionRequest, Operation, Plugin } from "./port.ts";

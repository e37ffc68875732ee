/**
 * Pod: containers that run together. The schemas by theme, the rules in validate-*.ts, what is derived (defaults,
 * totals, quality of service) beside them; pod.ts is the definition.
 */
export * from "./affinity.ts";
export { apiReferenceOf } from "./api-references.ts";
export * from "./container.ts";
export * from "./container-status.ts";
export { applySpecDefaults } from "./defaults.ts";
export * from "./driver-volume.ts";
export * from "./env.ts";
export * from "./ephemeral-container.ts";
export { imageTag } from "./image-name.ts";
export { hasEnded } from "./phase.ts";
export * from "./pod.ts";
export { dropDisabled } from "./prepare.ts";
export * from "./probe.ts";
export * from "./projected-volume.ts";
export { qosClassOf } from "./qos.ts";
export * from "./resources.ts";
export * from "./security.ts";
export * from "./spec.ts";
export * from "./status.ts";
export { isSidecar, totalOf } from "./totals.ts";
export { mirrorAnnotation } from "./validate-annotations.ts";
export { validatePodTemplate } from "./validate-spec.ts";
export * from "./volume.ts";
export * from "./volume-file.ts";
export { podWarnings } from "./warnings.ts";

/**
 * `skiff doctor`: checks the output of `npm run synth` against the account of the deployment. It only reads, and
 * reports what it is not allowed to read.
 */

export type { DoctorOptions } from "./doctor.ts";
export { type DoctorSettings, doctor } from "./doctor.ts";

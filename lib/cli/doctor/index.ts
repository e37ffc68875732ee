/**
 * `skiff doctor`: holds what `npm run synth` has written against the account that it is to be deployed to. It reads and
 * changes nothing, and what it may not ask it says.
 */

export type { DoctorOptions } from "./doctor.ts";
export { type DoctorSettings, doctor } from "./doctor.ts";

/**
 * The `skiff` command: words and flags to options, options to what the host gives it to run. It starts nothing by
 * itself and knows no driver.
 */
export {
  type Commands,
  type CostOptions,
  type DestroyOptions,
  type DoctorOptions,
  type DownOptions,
  type JoinOptions,
  type ProxyOptions,
  parseCommand,
  type RestoreOptions,
  type StatusOptions,
  type UpOptions,
} from "./program.ts";
export { createProgress, type Progress } from "./progress.ts";

/** A CSI driver for tests: its volumes are folders, and it fails on request. */
export { CsiDriver, type CsiDriverOptions, type Fault, type ReceivedCall } from "./driver.ts";

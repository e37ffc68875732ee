/**
 * A cloud in memory for tests: its resources can be read, instances can be added and removed, and any call can be made
 * to fail before or after its work.
 */
export { type Call, type FakeCloud, type FakeCloudOptions, fakeCloud } from "./fake-cloud.ts";

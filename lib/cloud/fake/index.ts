/**
 * A cloud in memory for tests: what it has can be looked at, instances come and go at a word, and any call can be made
 * to fail before or after it did its work. It never reaches anything outside the process.
 */
export { type Call, type FakeCloud, type FakeCloudOptions, fakeCloud } from "./fake-cloud.ts";

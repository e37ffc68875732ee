/**
 * Records Events about objects; repeats increase a count, as in client-go's recorder. Recording never fails and never
 * delays its caller.
 */
export { createRecorder, type Recorder, type RecorderOptions } from "./recorder.ts";

/**
 * How things are told to people: Event objects about what happened to an object, counted instead of repeated, as
 * client-go's recorder does. Telling never fails and never makes anybody wait.
 */
export { createRecorder, type Recorder, type RecorderOptions } from "./recorder.ts";

import type * as z from "zod";
import { message, raw, required, string } from "../meta/index.ts";

/** One event of a watch. */
export const WatchEvent = message("io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent", () => ({
  type: required(1, string, "ADDED, MODIFIED, DELETED, BOOKMARK or ERROR."),
  object: required(2, raw, "The object; for ERROR a Status."),
}));
export type WatchEvent = z.infer<typeof WatchEvent>;

import type * as z from "zod";
import { int32, ListMeta, list, message, optional, string } from "../meta/index.ts";

const meta = "io.k8s.apimachinery.pkg.apis.meta.v1";

export const StatusCause = message(`${meta}.StatusCause`, () => ({
  reason: optional(1, string, "Machine-readable reason, in CamelCase."),
  message: optional(2, string, "Human-readable message."),
  field: optional(3, string, "The field, such as `spec.containers[0].name`."),
}));
export type StatusCause = z.infer<typeof StatusCause>;

export const StatusDetails = message(`${meta}.StatusDetails`, () => ({
  name: optional(1, string, "Name of the object."),
  group: optional(2, string, "Group of the object."),
  kind: optional(3, string, "Kind or resource of the object."),
  causes: optional(4, list(StatusCause), "What is wrong, in detail.", { list: "atomic" }),
  retryAfterSeconds: optional(5, int32, "When to try again, in seconds."),
  uid: optional(6, string, "Uid of the object."),
}));
export type StatusDetails = z.infer<typeof StatusDetails>;

/** The answer to a request that has no object to show. */
export const StatusAnswer = message(`${meta}.Status`, () => ({
  metadata: optional(1, ListMeta, "Metadata of a list."),
  status: optional(2, string, "Success or Failure."),
  message: optional(3, string, "Human-readable message."),
  reason: optional(4, string, "Machine-readable reason, in CamelCase."),
  details: optional(5, StatusDetails, "More on what happened."),
  code: optional(6, int32, "The HTTP status code."),
}));
export type StatusAnswer = z.infer<typeof StatusAnswer>;

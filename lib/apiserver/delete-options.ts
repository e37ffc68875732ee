import { boolean, int64, list, type MessageShape, message, messageShapeOf, optional, string } from "#api/meta";

const meta = "io.k8s.apimachinery.pkg.apis.meta.v1";

const Preconditions = message(`${meta}.Preconditions`, () => ({
  uid: optional(1, string, "The uid that the object must have."),
  resourceVersion: optional(2, string, "The revision that the object must be at."),
}));

/** What a client may say with a delete (meta/v1 DeleteOptions). */
const DeleteOptions = message(`${meta}.DeleteOptions`, () => ({
  gracePeriodSeconds: optional(1, int64, "How long the object has to end itself, in seconds; 0 deletes at once."),
  preconditions: optional(2, Preconditions, "What must hold for the delete to happen."),
  orphanDependents: optional(3, boolean, "Older form of propagationPolicy."),
  propagationPolicy: optional(4, string, "What becomes of dependents: Orphan, Background or Foreground."),
  dryRun: optional(5, list(string), "All: check everything, delete nothing.", { list: "atomic" }),
  ignoreStoreReadErrorWithClusterBreakingPotential: optional(6, boolean, "Delete what cannot be read."),
}));

export const deleteOptionsShape = (): MessageShape => messageShapeOf(DeleteOptions);

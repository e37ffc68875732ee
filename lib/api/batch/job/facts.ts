/** The keys and names by which a Job and its pods know each other. */
export const uidLabel = "batch.kubernetes.io/controller-uid";
export const nameLabel = "batch.kubernetes.io/job-name";
/** The same from before labels had prefixes; clients still select by them. */
export const oldUidLabel = "controller-uid";
export const oldNameLabel = "job-name";
/** Annotation and label of a pod that works on one index. */
export const completionIndexKey = "batch.kubernetes.io/job-completion-index";
/** The finalizer of pods whose end has not been counted yet. */
export const trackingFinalizer = "batch.kubernetes.io/job-tracking";

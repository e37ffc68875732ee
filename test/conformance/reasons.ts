/** The missing kind or part that a test needs. */
interface Reason {
  test: RegExp;
  needs: string;
  /** Without the kind it fails outside of its own test, which ends the whole suite without a report. */
  endsSuite?: true;
}

/**
 * The first rule that matches a test's name applies. A rule is removed with the kind or part that it names: a test that
 * passes needs no rule, and a rule would hide its next failure.
 */
const reasons: readonly Reason[] = [
  // Its set-up calls Failf on goroutines that nothing recovers (test/e2e/apimachinery/chunking.go).
  { test: /Servers with support for API chunking/, needs: "PodTemplate", endsSuite: true },
  { test: /PodTemplates/, needs: "PodTemplate" },
  {
    test: /CustomResource|AggregatedDiscovery .*CRDs|FieldValidation .* CR |custom resource/,
    needs: "CustomResourceDefinition",
  },
  { test: /FieldValidation .*(?:CRD|embedded object)/, needs: "CustomResourceDefinition" },
  {
    test: /AdmissionWebhook|Discovery should locate the groupVersion|AggregatedDiscovery should support/,
    needs: "admission webhooks",
  },
  { test: /ValidatingAdmissionPolicy/, needs: "ValidatingAdmissionPolicy" },
  { test: /MutatingAdmissionPolicy/, needs: "MutatingAdmissionPolicy" },
  { test: /API priority and fairness/, needs: "FlowSchema" },
  { test: /Aggregator/, needs: "APIService" },
  { test: /ResourceQuota/, needs: "ResourceQuota" },
  { test: /LimitRange/, needs: "LimitRange" },
  { test: /StorageVersionMigration/, needs: "StorageVersionMigration" },
  { test: /ControllerRevision/, needs: "ControllerRevision" },
  { test: /Daemon set/, needs: "DaemonSet" },
  { test: /StatefulSet/, needs: "StatefulSet" },
  {
    test: /DisruptionController|eviction|PodDisruptionBudget|failure matching on DisruptionTarget/,
    needs: "PodDisruptionBudget",
  },
  {
    test: /ReplicationController|replication controller|\brc\b|Kubectl label|EmptyDir wrapper volumes should not cause race condition when used for configmaps|Guestbook|Update Demo|dependents that have both valid owner/,
    needs: "ReplicationController",
  },
  { test: /at least two untainted nodes/, needs: "a second node" },
  { test: /PriorityClass|SchedulerPreemption|preempt/i, needs: "PriorityClass" },
  // "sh" of the stand-in for busybox is bash, whose messages are worded otherwise: Debian's busybox drops variables such
  // as `data-1`, which other tests read.
  { test: /read only busybox container should not write/, needs: "busybox's own shell" },
  { test: /RuntimeClass/, needs: "RuntimeClass" },
  { test: /\[DRA\]|DeviceTaintRule|ResourceSlice/, needs: "resource.k8s.io" },
  { test: /CSIStorageCapacity|CSI Mock/, needs: "CSIStorageCapacity" },
  { test: /PersistentVolume|StorageClass|VolumeAttributesClass|VolumeAttachment/, needs: "PersistentVolume" },
  { test: /IngressClass|Ingress API/, needs: "Ingress" },
  { test: /PodCertificate/, needs: "PodCertificateRequest" },
  { test: /ClusterTrustBundle/, needs: "ClusterTrustBundle" },
];

/** The missing kind or part that a test needs; undefined: its failure is a fault. */
export const reasonFor = (name: string): string | undefined => reasons.find(({ test }) => test.test(name))?.needs;

/** Whether a test is excluded from every run, since it would end all others. */
export const isNotRunnable = (name: string): boolean =>
  reasons.some(({ test, endsSuite }) => endsSuite && test.test(name));

/** Tests that cannot be run without ending all others, as regular expressions of Go. */
export const notRunnable = (): string[] => reasons.filter(({ endsSuite }) => endsSuite).map(({ test }) => test.source);

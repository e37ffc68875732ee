/** One valid object of every kind that clients may write, as small as the kind allows. */
import type { Kind } from "#api";
import type { JsonObject } from "#base";

const metadata = { name: "a", namespace: "default" };
const cluster = { name: "a" };
const labels = { app: "a" };
const template = {
  metadata: { labels },
  spec: { containers: [{ name: "a", image: "a" }] },
};
const finite = { ...template, spec: { ...template.spec, restartPolicy: "Never" } };
const subject = { kind: "User", apiGroup: "rbac.authorization.k8s.io", name: "alice" };
const roleRef = (kind: string) => ({ apiGroup: "rbac.authorization.k8s.io", kind, name: "view" });
const now = "2026-01-02T03:04:05Z";
const attributes = { resourceAttributes: { verb: "get", resource: "pods", namespace: "default" } };

/** A certificate request in PEM, as base64. */
const request = [
  "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIcE1JR1JBZ0VBTUM4eEZUQVRCZ05WQkFvTURITjVjM1Js",
  "YlRwdWIyUmxjekVXTUJRR0ExVUVBd3dOYzNsegpkR1Z0T201dlpHVTZZVEJaTUJNR0J5cUdTTTQ5QWdFR0NDcUdTTTQ5QXdF",
  "SEEwSUFCSmpxbWVQdDRqVlhzdzg1ClIzMHJSa3hlRVJIZ3BvZVlIc1phKy9UbVNSSzU5aEJ3UnE4MXBNQmx5bWF2djNzWXd4",
  "a1dzYXE4TkRBOURMRHQKK09sL2lLV2dBREFLQmdncWhrak9QUVFEQWdOSEFEQkVBaUEvenBJUHRjN3N1b3k1TUUrdzcrSTdn",
  "TUhKdkUzLwpta3h0VmxhblowZmhXQUlnSlpPektFL21mTjYyUE9PdjZpMG9majR1MXpXOVEycWZ3M0pxa3p1MEZWWT0KLS0t",
  "LS1FTkQgQ0VSVElGSUNBVEUgUkVRVUVTVC0tLS0tCg==",
].join("");

/** By kind; kinds of the same name in two groups by `group/kind`. */
export const fixtures: Readonly<Record<string, JsonObject>> = {
  ConfigMap: { metadata, data: { a: "b" } },
  Endpoints: { metadata, subsets: [{ addresses: [{ ip: "10.0.0.1" }], ports: [{ port: 80 }] }] },
  Event: { metadata, involvedObject: { kind: "Pod", name: "a", namespace: "default" }, reason: "a", type: "Normal" },
  "events.k8s.io/Event": {
    metadata: { ...metadata, name: "c" },
    regarding: { kind: "Pod", name: "a", namespace: "default" },
    reason: "a",
    type: "Normal",
    action: "a",
    eventTime: "2026-01-02T03:04:05.000006Z",
    reportingController: "a.b/c",
    reportingInstance: "a",
  },
  Namespace: { metadata: cluster },
  Node: { metadata: cluster, spec: { podCIDR: "10.244.0.0/24" } },
  Pod: { metadata, spec: template.spec },
  Secret: { metadata, data: { a: "Yg==" } },
  Service: { metadata, spec: { type: "LoadBalancer", selector: labels, ports: [{ port: 80 }] } },
  ServiceAccount: { metadata },
  Deployment: { metadata, spec: { selector: { matchLabels: labels }, template } },
  ReplicaSet: { metadata, spec: { selector: { matchLabels: labels }, template } },
  CronJob: { metadata, spec: { schedule: "* * * * *", jobTemplate: { spec: { template: finite } } } },
  Job: { metadata, spec: { template: finite } },
  Lease: { metadata, spec: { holderIdentity: "a" } },
  EndpointSlice: { metadata, addressType: "IPv4", endpoints: [{ addresses: ["10.0.0.1"] }], ports: [{ port: 80 }] },
  IPAddress: {
    metadata: { name: "10.0.0.1" },
    spec: { parentRef: { resource: "services", name: "a", namespace: "default" } },
  },
  ServiceCIDR: { metadata: cluster, spec: { cidrs: ["10.97.0.0/16"] } },
  CertificateSigningRequest: {
    metadata: cluster,
    spec: { request, signerName: "example.com/signer", usages: ["client auth"], expirationSeconds: 3600 },
  },
  CSIDriver: { metadata: cluster, spec: { attachRequired: false, volumeLifecycleModes: ["Ephemeral"] } },
  CSINode: { metadata: cluster, spec: { drivers: [{ name: "a.example", nodeID: "n", topologyKeys: ["a/b"] }] } },
  Role: { metadata, rules: [{ verbs: ["get"], apiGroups: [""], resources: ["pods"] }] },
  RoleBinding: { metadata, roleRef: roleRef("ClusterRole"), subjects: [subject] },
  ClusterRole: { metadata: cluster, rules: [{ verbs: ["get"], apiGroups: [""], resources: ["pods"] }] },
  ClusterRoleBinding: { metadata: cluster, roleRef: roleRef("ClusterRole"), subjects: [subject] },
  SubjectAccessReview: { spec: { user: "alice", ...attributes } },
  LocalSubjectAccessReview: { metadata: { namespace: "default" }, spec: { user: "alice", ...attributes } },
  SelfSubjectAccessReview: { spec: attributes },
  SelfSubjectRulesReview: { spec: { namespace: "default" } },
  SelfSubjectReview: {},
  TokenReview: { spec: { token: "a" } },
  AccessEntry: { metadata: cluster, spec: { principalArn: "arn:aws:iam::123456789012:role/a", groups: ["a"] } },
};

/** The body of a POST or PUT to a subresource: by `kind/subresource`. */
export const partFixtures: Readonly<Record<string, { form: string; body: JsonObject }>> = {
  "Pod/binding": { form: "Binding", body: { metadata: { name: "part" }, target: { kind: "Node", name: "a" } } },
  "ServiceAccount/token": { form: "TokenRequest", body: { spec: { audiences: [], expirationSeconds: 3600 } } },
  "Deployment/scale": { form: "Scale", body: { metadata: { ...metadata, name: "part" }, spec: { replicas: 1 } } },
  "ReplicaSet/scale": { form: "Scale", body: { metadata: { ...metadata, name: "part" }, spec: { replicas: 1 } } },
};

export const statuses: Readonly<Record<string, JsonObject>> = {
  Pod: {
    phase: "Running",
    conditions: [{ type: "Ready", status: "True", lastTransitionTime: now }],
    containerStatuses: [{ name: "a", image: "a", imageID: "", ready: true, restartCount: 0, state: {} }],
  },
  Node: { conditions: [{ type: "Ready", status: "True", lastHeartbeatTime: now }], capacity: { cpu: "1" } },
  Service: { loadBalancer: { ingress: [{ ip: "10.0.0.1" }] } },
  Job: { active: 1, startTime: now },
  CertificateSigningRequest: { conditions: [{ type: "Failed", status: "True", lastUpdateTime: now }] },
};

/** The valid object of a kind; undefined for a kind that clients do not write. */
export const fixtureOf = (kind: Kind): JsonObject | undefined =>
  fixtures[`${kind.group}/${kind.kind}`] ?? fixtures[kind.kind];

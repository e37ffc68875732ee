import { afterAll, beforeAll, expect, test } from "vitest";
import { openCluster, type TestCluster } from "#test/cluster";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await openCluster();
});
afterAll(() => cluster.close());

const container = { name: "a", image: "a" };

// Seen on v1.37.2: kubectl sends Strict, and fields of gates that are off are dropped without a warning.
test("fields that are gated off are taken under Strict and dropped", async () => {
  const spec = {
    containers: [
      {
        ...container,
        livenessProbe: { httpGet: { port: 80, protocol: "HTTP2" } },
        readinessProbe: { grpc: { port: 80, mode: "TLS" } },
        volumeMounts: [{ name: "v", mountPath: "/v", bindMountOptions: ["foo"] }],
      },
    ],
    evictionResponders: [{ name: "x", priority: 1 }],
    volumes: [
      { name: "v", emptyDir: { mode: 448 } },
      { name: "w", configMap: { name: "m", defaultUser: 1, items: [{ key: "k", path: "p", user: 1 }] } },
    ],
  };
  const path = "/api/v1/namespaces/default/pods?dryRun=All&fieldValidation=Strict";
  const pod = await cluster.ask("POST", path, { metadata: { name: "p" }, spec });
  expect([pod.status, pod.headers["warning"]]).toEqual([201, undefined]);
  expect(JSON.stringify(pod.json)).not.toMatch(/HTTP2|"TLS"|bindMount|evictionResponders|448|defaultUser|"user"/);
  const job = await cluster.ask("POST", "/apis/batch/v1/namespaces/default/jobs?dryRun=All&fieldValidation=Strict", {
    metadata: { name: "j" },
    spec: {
      scheduling: { schedulingPolicy: { gang: {} } },
      template: { spec: { restartPolicy: "Never", containers: [container] } },
    },
  });
  expect([job.status, job.json.spec.scheduling]).toEqual([201, undefined]);
});

test("a gated field of a wrong type is refused like any other", async () => {
  const spec = { containers: [container], evictionResponders: "x" };
  const path = "/api/v1/namespaces/default/pods?dryRun=All";
  const { status, json } = await cluster.ask("POST", path, { metadata: { name: "p" }, spec });
  expect([status, json.message]).toEqual([
    400,
    'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field PodSpec.spec.evictionResponders of type []v1.EvictionResponder',
  ]);
});

// As v1.37.2 answers.
test.each([
  [
    { schedulingPolicy: 5 },
    "json: cannot unmarshal number into Go struct field JobSchedulingConfiguration.spec.scheduling.schedulingPolicy of type v1alpha3.WorkloadPodGroupSchedulingPolicy",
  ],
  [
    { schedulingPolicy: { gang: { minCount: "x" } } },
    "json: cannot unmarshal string into Go struct field WorkloadPodGroupGangSchedulingPolicy.spec.scheduling.schedulingPolicy.gang.minCount of type int32",
  ],
  [
    { schedulingConstraints: { topology: [{ key: 5 }] } },
    "json: cannot unmarshal number into Go struct field TopologyConstraint.spec.scheduling.schedulingConstraints.topology.key of type string",
  ],
  [
    { resourceClaims: [5] },
    "json: cannot unmarshal number into Go struct field JobSchedulingConfiguration.spec.scheduling.resourceClaims of type v1alpha3.WorkloadPodGroupResourceClaim",
  ],
  [{ disruptionMode: { unknown: 1 } }, 'strict decoding error: unknown field "spec.scheduling.disruptionMode.unknown"'],
])("members of a gated field, too: a job's scheduling of %j", async (scheduling, expected) => {
  const template = { spec: { restartPolicy: "Never", containers: [container] } };
  const path = "/apis/batch/v1/namespaces/default/jobs?dryRun=All&fieldValidation=Strict";
  const { status, json } = await cluster.ask("POST", path, { metadata: { name: "j" }, spec: { scheduling, template } });
  expect([status, json.message]).toEqual([400, `Job in version "v1" cannot be handled as a Job: ${expected}`]);
});

test("OpenAPI names the types of scalars that have one, and the values of enums", async () => {
  const { schemas } = (await cluster.ask("GET", "/openapi/v3/apis/apps/v1")).json.components;
  const { maxSurge } = schemas["io.k8s.api.apps.v1.RollingUpdateDeployment"].properties;
  expect(maxSurge.allOf).toEqual([{ $ref: "#/components/schemas/io.k8s.apimachinery.pkg.util.intstr.IntOrString" }]);
  expect(schemas["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]).toMatchObject({
    format: "int-or-string",
    oneOf: [{ type: "integer" }, { type: "string" }],
  });
  const strategy = schemas["io.k8s.api.apps.v1.DeploymentStrategy"].properties.type;
  expect(strategy.enum).toEqual(["Recreate", "RollingUpdate"]);
  for (const name of ["api.resource.Quantity", "apis.meta.v1.Time", "apis.meta.v1.FieldsV1"]) {
    expect(schemas).toHaveProperty([`io.k8s.apimachinery.pkg.${name}`]);
  }
});

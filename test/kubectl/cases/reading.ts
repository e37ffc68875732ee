import { expect } from "vitest";
import type { Case } from "../runner.ts";

const docs = "kubernetes.io/docs/reference/kubectl";
const printers = "upstream pkg/printers/internalversion/printers.go";

/** Commands that only read; they need the objects that `writing` leaves behind. */
export const reading: readonly Case[] = [
  {
    run: "version -o json",
    source: "notes: gitVersion must parse as semver",
    json: ({ serverVersion }) => expect(serverVersion.minor).toBe("36"),
  },
  { run: "cluster-info", source: docs, global: true, out: /Kubernetes control plane.* is running at/ },
  {
    run: "api-resources",
    source: docs,
    global: true,
    out: [
      /^pods\s+po\s+v1\s+true\s+Pod$/m,
      /^deployments\s+deploy\s+apps\/v1\s+true\s+Deployment$/m,
      /^ipaddresses\s+ip\s+networking.k8s.io\/v1\s+false\s+IPAddress$/m,
    ],
  },
  {
    run: "api-resources --namespaced=false -o name",
    source: docs,
    global: true,
    out: [/^nodes$/m, /^namespaces$/m],
    not: /^pods$/m,
  },
  { run: "api-resources --api-group=apps", source: docs, global: true, out: /replicasets/, not: /configmaps/ },
  { run: "api-versions", source: docs, global: true, out: [/^v1$/m, /^apps\/v1$/m, /^events\.k8s\.io\/v1$/m] },
  {
    run: "get deploy",
    source: printers,
    out: /^NAME\s+READY\s+UP-TO-DATE\s+AVAILABLE\s+AGE\nweb\s+3\/3\s+3\s+3\s+\d+/m,
    within: 30,
  },
  {
    run: "get deploy -o wide",
    source: printers,
    out: /CONTAINERS\s+IMAGES\s+SELECTOR\nweb .*nginx:1\.14\.2\s+app=web/,
  },
  { run: "get rs", source: printers, out: /^NAME\s+DESIRED\s+CURRENT\s+READY\s+AGE\nweb-\w+\s+3\s+3\s+3\s/m },
  {
    run: "get pods -o wide",
    source: printers,
    out: /^NAME\s+READY\s+STATUS\s+RESTARTS\s+AGE\s+IP\s+NODE\s+NOMINATED NODE\s+READINESS GATES\nweb-\S+\s+1\/1\s+Running\s+0\s/m,
    within: 30,
  },
  { run: "get pods -o name", source: docs, out: /^pod\/web-/m },
  {
    run: "get deploy web -o yaml",
    source: docs,
    out: [/^apiVersion: apps\/v1$/m, /^kind: Deployment$/m, /^ {2}replicas: 3$/m],
  },
  {
    run: "get deploy web -o json",
    source: docs,
    json: (value) =>
      expect(value).toMatchObject({
        kind: "Deployment",
        apiVersion: "apps/v1",
        metadata: { name: "web", generation: expect.any(Number) },
      }),
  },
  {
    run: "get deploy -o json",
    source: docs,
    json: (value) => expect(value).toMatchObject({ kind: "List", items: [{ kind: "Deployment" }] }),
  },
  {
    run: "get deploy web -o jsonpath={.spec.template.spec.containers[0].image}",
    source: docs,
    out: /^nginx:1\.14\.2$/,
  },
  { run: "get deploy web -o 'go-template={{.metadata.name}}'", source: docs, out: /^web$/ },
  {
    run: "get pods -o custom-columns=N:.metadata.name,P:.status.phase",
    source: docs,
    out: /^N\s+P\nweb-\S+\s+Running$/m,
  },
  { run: "get pods --no-headers", source: docs, not: /NAME/, out: /^web-/m },
  { run: "get pods --show-labels", source: docs, out: /LABELS\n.*app=web,pod-template-hash=\w+/ },
  { run: "get pods -L app", source: docs, out: /APP\n.*\sweb$/m },
  {
    run: "get pods --sort-by=.metadata.name",
    source: "data/kubectl-1.36-requests: includeObject=Object",
    out: /^web-/m,
  },
  { run: "get pods --chunk-size=1", source: "data/kubectl-1.36-requests: get-chunk", out: /(?:^web-\S+ .*\n){3}/m },
  { run: "get pods -l app=web", source: docs, out: /^web-/m },
  { run: "get pods -l 'app in (web,api),!nothing'", source: docs, out: /^web-/m },
  { run: "get pods -l app!=web", source: docs, err: /No resources found/ },
  { run: "get pods --field-selector status.phase=Running", source: docs, out: /^web-/m },
  {
    run: "get pods --field-selector spec.zzz=1",
    source: "notes section 2: field label not supported",
    code: 1,
    err: /field label not supported: spec\.zzz/,
  },
  { run: "get pods -A", source: docs, global: true, out: /^NAMESPACE\s+NAME/m },
  {
    run: "get all",
    source: docs,
    out: [/pod\/web-/, /service\/web/, /deployment\.apps\/web/, /replicaset\.apps\/web-/],
  },
  {
    run: "get svc web",
    source: printers,
    out: /^NAME\s+TYPE\s+CLUSTER-IP\s+EXTERNAL-IP\s+PORT\(S\)\s+AGE\nweb\s+ClusterIP\s+10\.\S+\s+<none>\s+80\/TCP\s/m,
  },
  {
    run: "get endpointslices -l kubernetes.io/service-name=web",
    source: printers,
    out: /^NAME\s+ADDRESSTYPE\s+PORTS\s+ENDPOINTS\s+AGE\nweb-\w+\s+IPv4\s+80\s+\S+,/m,
    within: 10,
  },
  { run: "get nodes", source: printers, global: true, out: /^NAME\s+STATUS\s+ROLES\s+AGE\s+VERSION\n\S+\s+Ready\s/m },
  {
    run: "get nodes -o wide",
    source: printers,
    global: true,
    out: /INTERNAL-IP\s+EXTERNAL-IP\s+OS-IMAGE\s+KERNEL-VERSION\s+CONTAINER-RUNTIME/,
  },
  { run: "get ns default -o yaml", source: docs, global: true, out: /phase: Active/ },
  {
    run: "get cm kube-root-ca.crt -o yaml",
    source: "upstream root-ca-certificate-publisher",
    out: /BEGIN CERTIFICATE/,
  },
  { run: "get sa default", source: printers, out: /default/ },
  {
    run: "get nothing",
    source: "kubectl's own words for an unknown type",
    code: 1,
    err: /the server doesn't have a resource type "nothing"/,
  },
  { run: "get pod nothing", source: "upstream NotFound", code: 1, err: /pods "nothing" not found/ },
  { run: "get pods nothing --ignore-not-found", source: docs, out: /^$/ },
  {
    run: "get --raw /version",
    source: docs,
    global: true,
    json: ({ gitVersion }) => expect(gitVersion).toMatch(/^v1\.36/),
  },
  {
    run: "get --raw '/readyz?verbose'",
    source: "kubernetes.io/docs/reference/using-api/health-checks",
    global: true,
    out: /readyz check passed/,
  },
  {
    run: "get --raw /api/v1/namespaces/default",
    source: docs,
    global: true,
    json: ({ kind }) => expect(kind).toBe("Namespace"),
  },
  {
    run: "get deploy web --subresource=status -o json",
    source: docs,
    json: ({ status }) => expect(status.replicas).toBe(3),
  },
  {
    run: "describe deployment web",
    source: docs,
    out: [
      /Replicas:\s+3 desired \| 3 updated \| 3 total \| 3 available \| 0 unavailable/,
      /NewReplicaSet:\s+web-\w+ \(3\/3 replicas created\)/,
      /ScalingReplicaSet/,
    ],
  },
  { run: "describe rs", source: docs, out: [/Controlled By:\s+Deployment\/web/, /Pods Status:\s+3 Running/] },
  {
    run: "describe pods -l app=web",
    source: docs,
    out: [/Status:\s+Running/, /Controlled By:\s+ReplicaSet\/web-/, /Scheduled/],
  },
  { run: "describe node", source: docs, global: true, out: [/Conditions:/, /Allocatable:/, /Non-terminated Pods:/] },
  { run: "describe svc web", source: docs, out: /Endpoints:\s+10\./ },
  { run: "describe ns default", source: docs, global: true, out: /Status:\s+Active/ },
  { run: "describe cm settings", source: docs, out: /colour/ },
  { run: "events --for deployment/web", source: docs, out: /ScalingReplicaSet/ },
  { run: "get events --field-selector involvedObject.kind=Deployment", source: docs, out: /Scaled up replica set/ },
  { run: "explain deployment.spec.strategy", source: docs, global: true, out: [/KIND:\s+Deployment/, /rollingUpdate/] },
  { run: "explain pod --recursive", source: docs, global: true, out: /containers\s+<\[\]Container> -required-/ },
  {
    run: "rollout status deployment/web --timeout=30s",
    source: "data/kubectl-1.36-requests: WatchList",
    out: /successfully rolled out/,
  },
  { run: "rollout history deployment/web", source: docs, out: /REVISION\s+CHANGE-CAUSE\n1\s+<none>/ },
  { run: "get pods -w", source: "data/kubectl-1.36-requests: get-watch", cut: 2000, out: /^web-/m },
];

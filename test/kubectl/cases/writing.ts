import { expect } from "vitest";
import type { Case } from "../runner.ts";

const docs = "kubernetes.io/docs/reference/kubectl";
const recorded = "data/kubectl-1.36-requests";
const answers = "data/upstream-answers";

const manifest = (data: object): string =>
  JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "applied" }, data });

/** Creates the objects that `reading` reads. */
export const making: readonly Case[] = [
  {
    run: "create deployment web --image=nginx:1.14.2 --replicas=3 --port=80",
    source: `${recorded}: protobuf body`,
    out: /deployment\.apps\/web created/,
  },
  {
    run: "create deployment web --image=nginx:1.14.2",
    source: "upstream AlreadyExists",
    code: 1,
    err: /deployments\.apps "web" already exists/,
  },
  { run: "expose deployment web --port=80", source: `${recorded}: GET then POST`, out: /service\/web exposed/ },
  {
    run: "create configmap settings --from-literal=colour=red",
    source: `${recorded}: protobuf body`,
    out: /configmap\/settings created/,
  },
  {
    run: "create secret generic password --from-literal=word=hidden",
    source: `${recorded}: protobuf body`,
    out: /secret\/password created/,
  },
  { run: "get secret password -o jsonpath={.data.word}", source: "Secret data is base64", out: /^aGlkZGVu$/ },
  {
    run: "wait deployment/web --for=condition=Available --timeout=60s",
    source: `${recorded}: WatchList`,
    out: /condition met/,
  },
];

export const writing: readonly Case[] = [
  { run: "apply -f -", stdin: manifest({ a: "1" }), source: `${recorded}: apply`, out: /configmap\/applied created/ },
  {
    run: "apply -f -",
    stdin: manifest({ a: "1" }),
    source: `${recorded}: no change, no request`,
    out: /configmap\/applied unchanged/,
  },
  {
    run: "apply -f -",
    stdin: manifest({ a: "2", b: "3" }),
    source: `${recorded}: PATCH`,
    out: /configmap\/applied configured/,
  },
  {
    run: "apply -f -",
    stdin: manifest({ b: "3" }),
    source: "three-way merge drops what the manifest dropped",
    out: /configured/,
  },
  { run: "get cm applied -o json", source: "three-way merge", json: ({ data }) => expect(data).toEqual({ b: "3" }) },
  {
    run: "apply --server-side -f -",
    stdin: manifest({ a: "9" }),
    source: "server-side apply is refused by name until it comes",
    code: 1,
    err: /server-side apply.* is not supported/,
  },
  { run: "diff -f -", stdin: manifest({ b: "4" }), source: docs, code: 1, out: /\+ {2}b: "4"/ },
  {
    run: "create -f - --dry-run=server -o name",
    stdin: JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "dry" } }),
    source: docs,
    out: /^configmap\/dry$/m,
  },
  { run: "get cm dry", source: "a dry run keeps nothing", code: 1, err: /not found/ },
  {
    run: "create -f -",
    stdin: JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { generateName: "gen-" } }),
    source: `${answers}: generateName`,
    out: /configmap\/gen-[bcdfghjklmnpqrstvwxz2456789]{5} created/,
  },
  {
    run: "create -f -",
    stdin: JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "odd" }, zzz: 1 }),
    source: `${answers}: strict decoding`,
    code: 1,
    err: /strict decoding error: unknown field "zzz"/,
  },
  {
    run: "create -f - --validate=warn",
    stdin: JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "odd" }, zzz: 1 }),
    source: `${answers}: warning`,
    err: /Warning: unknown field "zzz"/,
    out: /created/,
  },
  {
    run: "create -f -",
    stdin: JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "A_b" } }),
    source: `${answers}: names`,
    code: 1,
    err: /metadata\.name: Invalid value: "A_b": a lowercase RFC 1123 subdomain/,
  },
  {
    run: "create -f - --validate=false",
    stdin: JSON.stringify({ apiVersion: "batch/v1beta1", kind: "CronJob", metadata: { name: "j" } }),
    source: "a version that is not served any more",
    code: 1,
    err: /no matches for kind "CronJob" in version "batch\/v1beta1"/,
  },
  {
    run: "replace -f -",
    stdin: manifest({ c: "1" }),
    source: `${recorded}: replace`,
    out: /configmap\/applied replaced/,
  },
  { run: "label cm settings tier=front", source: docs, out: /configmap\/settings labeled/ },
  { run: "label cm settings tier=back", source: "kubectl asks for --overwrite", code: 1, err: /already has a value/ },
  { run: "label cm settings tier=back --overwrite", source: docs, out: /labeled/ },
  { run: "get cm -l tier=back -o name", source: docs, out: /^configmap\/settings$/m },
  { run: "label cm settings tier-", source: docs, out: /unlabeled/ },
  { run: "annotate cm settings note='a b'", source: docs, out: /annotated/ },
  { run: 'patch cm settings -p \'{"data":{"size":"m"}}\'', source: docs, out: /patched/ },
  {
    run: 'patch cm settings -p \'{"data":{"size":"m"}}\'',
    source: `${answers}: a patch that changes nothing`,
    out: /patched \(no change\)/,
  },
  { run: 'patch cm settings --type=merge -p \'{"data":{"size":null}}\'', source: docs, out: /patched/ },
  {
    run: 'patch cm settings --type=json -p \'[{"op":"add","path":"/data/shape","value":"round"}]\'',
    source: docs,
    out: /patched/,
  },
  {
    run: 'patch cm settings --type=json -p \'[{"op":"test","path":"/data/shape","value":"flat"}]\'',
    source: `${answers}: JSON patch test fail`,
    code: 1,
    err: /the server rejected our request due to an error in our request/,
  },
  {
    run: "get cm settings -o json",
    source: "what the patches came to",
    json: ({ data }) => expect(data).toEqual({ colour: "red", shape: "round" }),
  },
  { run: "edit cm settings", source: `${recorded}: edit`, out: /configmap\/settings edited/ },
  { run: "get cm settings -o jsonpath={.data.colour}", source: "the editor replaces red by blue", out: /^blue$/ },
  { run: "set image deployment/web nginx=nginx:1.15", source: docs, out: /deployment\.apps\/web image updated/ },
  {
    run: "rollout status deployment/web --timeout=60s",
    source: `${recorded}: WatchList`,
    out: /successfully rolled out/,
  },
  { run: "rollout history deployment/web", source: docs, out: /1\s+<none>\n2\s+<none>/ },
  { run: "rollout history deployment/web --revision=2", source: docs, out: /nginx:1\.15/ },
  { run: "rollout undo deployment/web", source: docs, out: /rolled back/ },
  { run: "rollout status deployment/web --timeout=60s", source: docs, out: /successfully rolled out/ },
  {
    run: "get deploy web -o jsonpath={.spec.template.spec.containers[0].image}",
    source: docs,
    out: /^nginx:1\.14\.2$/,
  },
  { run: "rollout pause deployment/web", source: docs, out: /paused/ },
  { run: "set env deployment/web MODE=test", source: docs, out: /env updated/ },
  {
    run: "get rs -o jsonpath={.items[*].spec.template.spec.containers[0].env}",
    source: "a paused deployment does not roll",
    not: /MODE/,
  },
  { run: "rollout resume deployment/web", source: docs, out: /resumed/ },
  { run: "rollout status deployment/web --timeout=60s", source: docs, out: /successfully rolled out/ },
  { run: "rollout restart deployment/web", source: docs, out: /restarted/ },
  { run: "rollout status deployment/web --timeout=60s", source: docs, out: /successfully rolled out/ },
  { run: "set resources deployment/web --requests=cpu=10m", source: docs, out: /resource requirements updated/ },
  { run: "rollout status deployment/web --timeout=60s", source: docs, out: /successfully rolled out/ },
  { run: "scale deployment/web --replicas=5", source: `${recorded}: PATCH scale`, out: /scaled/ },
  {
    run: "wait deployment/web --for=jsonpath={.status.readyReplicas}=5 --timeout=60s",
    source: docs,
    out: /condition met/,
  },
  {
    run: "scale deployment/web --replicas=1 --current-replicas=5",
    source: `${recorded}: GET and PUT scale without a content type`,
    out: /scaled/,
  },
  {
    run: "scale deployment/web --replicas=2 --current-replicas=5",
    source: "kubectl's precondition",
    code: 1,
    err: /Expected replicas to be 5, was 1/,
  },
  {
    run: "get deploy web --subresource=scale -o json",
    source: "autoscaling/v1",
    json: (value) => expect(value).toMatchObject({ kind: "Scale", spec: { replicas: 1 } }),
  },
  { run: "run one --image=nginx:1.14.2 --restart=Never --labels=run=one", source: recorded, out: /pod\/one created/ },
  { run: "wait pod/one --for=jsonpath={.status.phase}=Running --timeout=60s", source: docs, out: /condition met/ },
  {
    run: 'patch pod one -p \'{"spec":{"restartPolicy":"Always"}}\'',
    source: "upstream ValidatePodUpdate",
    code: 1,
    err: /Forbidden: pod updates may not change fields other than/,
  },
  { run: "delete pod one --grace-period=1", source: docs, out: /pod "one" deleted/ },
  { run: "get pod one", source: "kubectl delete waits until the object is gone", code: 1, err: /not found/ },
  { run: "run two --image=nginx:1.14.2 --restart=Never", source: recorded, out: /created/ },
  { run: "delete pod two --force --grace-period=0", source: docs, out: /force deleted/ },
  {
    run: "delete deployment web --cascade=orphan",
    source: `${recorded}: propagationPolicy Orphan`,
    out: /deployment\.apps "web" deleted/,
  },
  {
    run: "get rs -o json",
    source: "orphans have no owner",
    within: 10,
    json: ({ items }) =>
      expect(items.filter((set: { metadata: { ownerReferences?: object[] } }) => set.metadata.ownerReferences)).toEqual(
        [],
      ),
  },
  {
    run: "delete rs --all --cascade=foreground --timeout=60s",
    source: `${recorded}: propagationPolicy Foreground`,
    out: /deleted/,
  },
  { run: "get pods", source: "a foreground deletion takes the pods along", within: 20, err: /No resources found/ },
  { run: "create deployment last --image=nginx:1.14.2", source: recorded, out: /created/ },
  { run: "delete deployment last --cascade=background", source: docs, out: /deleted/ },
  {
    run: "get rs,pods",
    source: "background deletion takes the dependents along",
    within: 20,
    err: /No resources found/,
  },
  { run: "delete cm -l tier=none", source: docs, out: /No resources found|^$/ },
  { run: "delete cm settings applied odd", source: docs, out: /configmap "settings" deleted/ },
  { run: "delete cm settings", source: "upstream NotFound", code: 1, err: /configmaps "settings" not found/ },
  {
    run: "create ns battery-extra-$NS",
    source: `${recorded}: protobuf body`,
    global: true,
    out: /namespace\/battery-extra-\S+ created/,
  },
  {
    run: "delete ns battery-extra-$NS",
    source: "kubectl waits for the namespace to go",
    global: true,
    out: /namespace "battery-extra-\S+" deleted/,
  },
  { run: "cordon nothing", source: "upstream NotFound", global: true, code: 1, err: /nodes "nothing" not found/ },
];

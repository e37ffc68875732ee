import { expect, test } from "vitest";
import { longestManifest, readManifest } from "./manifest.ts";

const file = { source: "file", place: "/etc/manifests/web.yaml", node: "boat" } as const;
const url = { source: "http", place: "http://127.0.0.1/pods", node: "boat" } as const;
const read = (text: string, options: typeof file | typeof url = file) => readManifest(Buffer.from(text), options);
const web = `apiVersion: v1
kind: Pod
metadata: { name: web }
spec:
  containers: [{ name: main, image: nginx }]
`;

// applyDefaults (pkg/kubelet/config/common.go, v1.37.2).
test("a pod from a file gets its node's name, a uid, its source and a toleration", async () => {
  const [pod, ...others] = await read(web);
  expect(others).toEqual([]);
  expect(pod).toMatchObject({
    metadata: { name: "web-boat", namespace: "default", uid: expect.stringMatching(/^[0-9a-f]{32}$/) },
    spec: {
      nodeName: "boat",
      tolerations: [{ operator: "Exists", effect: "NoExecute" }],
      restartPolicy: "Always",
      dnsPolicy: "ClusterFirst",
      containers: [{ name: "main", image: "nginx", imagePullPolicy: "Always", terminationMessagePolicy: "File" }],
    },
    status: { phase: "Pending" },
  });
  expect(pod?.metadata.annotations).toEqual({
    "kubernetes.io/config.hash": pod?.metadata.uid,
    "kubernetes.io/config.source": "file",
  });
});

test("the uid follows the content, the place and the node, and not the order of members or comments", async () => {
  const uid = async (text: string, options: object = {}) => {
    const [pod] = await readManifest(Buffer.from(text), { ...file, ...options });
    return pod?.metadata.uid;
  };
  const known = await uid(web);
  expect(await uid(`# a comment\n${web}`)).toBe(known);
  const json = { kind: "Pod", apiVersion: "v1", spec: { containers: [{ image: "nginx", name: "main" }] } };
  expect(await uid(JSON.stringify({ ...json, metadata: { name: "web" } }))).toBe(known);
  expect(await uid(web.replace("nginx", "nginx:2"))).not.toBe(known);
  expect(await uid(web, { place: "/etc/manifests/other.yaml" })).not.toBe(known);
  expect(await uid(web, { node: "other" })).not.toBe(known);
  expect(await uid(web.replace("name: web", "name: web, uid: mine"))).toBe("mine");
});

test("a URL may have lists, and its pods tolerate nothing by themselves", async () => {
  const item = (name: string) => ({ metadata: { name }, spec: { containers: [{ name: "main", image: "i" }] } });
  const list = { apiVersion: "v1", kind: "PodList", items: [item("a"), item("b")] };
  const found = await read(JSON.stringify(list), url);
  expect(found.map(({ metadata, spec }) => [metadata.name, spec?.tolerations])).toEqual([
    ["a-boat", undefined],
    ["b-boat", undefined],
  ]);
  expect(found[0]?.metadata.annotations?.["kubernetes.io/config.source"]).toBe("http");
  await expect(read(JSON.stringify(list))).rejects.toThrow("expected a v1 Pod, found v1 PodList");
});

// HasAPIObjectReference (pkg/api/pod/util.go, v1.37.2) for the last group.
test.each([
  ["", "expected a v1 Pod, found an object without a kind"],
  ["kind: [", "yaml"],
  ["apiVersion: apps/v1\nkind: Deployment\n", "expected a v1 Pod, found apps/v1 Deployment"],
  [web.replace("{ name: web }", "{}"), "invalid pod: name is needed for the pod"],
  [web.replace("name: web", "name: Web_"), "invalid pod: metadata.name: "],
  [web.replace("image: nginx", ""), "invalid pod: spec.containers[0].image: "],
  [web.replace("[{ name: main, image: nginx }]", "main"), "containers"],
  [`${web}  serviceAccountName: robot\n`, "static pods may not reference serviceaccounts"],
  [`${web}  imagePullSecrets: [{ name: s }]\n`, "static pods may not reference secrets"],
  [`${web}  volumes: [{ name: v, configMap: { name: c } }]\n`, "static pods may not reference configmaps"],
  [
    `${web}  volumes: [{ name: v, persistentVolumeClaim: { claimName: c } }]\n`,
    "static pods may not reference persistentvolumeclaims",
  ],
  [
    `${web}  volumes: [{ name: v, csi: { driver: d } }]\n`,
    "static pods may not reference csidrivers (via CSI volumes)",
  ],
])("refuses %j", async (text, message) => {
  await expect(read(text)).rejects.toThrow(message);
});

test("accepts volumes that need no object of the API", async () => {
  const [pod] = await read(
    `${web}  volumes:\n  - { name: a, hostPath: { path: / } }\n  - { name: b, emptyDir: {} }\n  - { name: c, projected: { sources: [{ downwardAPI: {} }] } }\n`,
  );
  expect(pod?.spec?.volumes?.map(({ name }) => name)).toEqual(["a", "b", "c"]);
});

test("refuses more than ten MiB", async () => {
  await expect(readManifest(Buffer.alloc(longestManifest + 1), file)).rejects.toThrow("more than 10485760 bytes");
});

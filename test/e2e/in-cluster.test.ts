import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, realpathSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { dirname } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { endpoints, type Pod, roleBindings } from "#api";
import type { HttpClient } from "#client";
import { kubectl, type Setting } from "../kubectl/runner.ts";
import { createPod, getPod, until } from "./client.ts";
import { Machine } from "./machine.ts";

let machine: Machine;
let client: HttpClient;
let setting: Setting;

beforeAll(async () => {
  machine = await Machine.open();
  ({ client, setting } = machine);
  await client.create(roleBindings, {
    metadata: { name: "view", namespace: "default" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "view" },
    subjects: [{ kind: "ServiceAccount", name: "default", namespace: "default" }],
  });
});
afterAll(() => machine?.close());

/** What in-cluster configurations read: the environment, or the service's name, and the mounted account. */
const program = `
const { readFileSync } = require("node:fs");
const { request } = require("node:https");
const account = "/var/run/secrets/kubernetes.io/serviceaccount";
const [ca, token] = ["ca.crt", "token"].map((name) => readFileSync(account + "/" + name, "utf8"));
const { KUBERNETES_SERVICE_HOST: address, KUBERNETES_SERVICE_PORT: port } = process.env;
const ask = (host, path, more = {}) =>
  new Promise((resolve, reject) => {
    const headers = { authorization: "Bearer " + token, ...more.headers };
    const sent = request({ host, port, path, ca, ...more, headers }, (response) => {
      let body = "";
      response.on("data", (piece) => {
        body += piece;
        if (path.includes("watch") && body.includes("\\n")) resolve(body.split("\\n")[0]);
      });
      response.on("end", () => resolve(body));
    });
    sent.on("error", reject);
    sent.on("upgrade", (response, socket) => resolve(socket.destroy() && String(response.statusCode)));
    sent.end();
  });
const pods = "/api/v1/namespaces/default/pods";
(async () => {
  for (const host of [address, "kubernetes.default.svc"]) {
    console.log(JSON.parse(await ask(host, pods)).items.map(({ metadata }) => metadata.name).join());
  }
  console.log(JSON.parse(await ask(address, pods + "?watch=true")).object.metadata.name);
  console.log(JSON.parse(await ask(address, "/api/v1/namespaces/default/secrets")).reason);
  process.exit();
})().catch((error) => { console.log(String(error)); process.exit(1); });
`;

/** Folders of this machine in a container, at the same paths. None of them is inside of another one. */
const mounted = (paths: readonly string[]) => {
  const roots = [...new Set(paths)].filter((path) => !paths.some((other) => path.startsWith(`${other}/`)));
  const named = roots.map((path, index) => ({ name: `folder-${index}`, path }));
  return {
    volumes: named.map(({ name, path }) => ({ name, hostPath: { path } })),
    volumeMounts: named.map(({ name, path }) => ({ name, mountPath: path, readOnly: true })),
  };
};

/** What programs of this machine need. */
const libraries = ["/usr", "/lib", "/lib64"];

/** A pod that runs a command of this machine, whose own files are in these folders besides the libraries. */
function inside(command: readonly string[], folders: readonly string[], more: object = {}): object {
  const { volumes, volumeMounts } = mounted([...libraries, ...folders]);
  const containers = [{ name: "main", image: "busybox", command, volumeMounts }];
  return { restartPolicy: "Never", containers, volumes, ...more };
}

const nodeInside = (more: object = {}): object =>
  inside([process.execPath, "-e", program], [dirname(process.execPath)], more);

/** What the pod's program said, once it has ended. */
async function logOf(name: string): Promise<{ phase: string; lines: string[] }> {
  const ended = await until(async () => {
    const pod: Pod = await getPod(client, name);
    return ["Succeeded", "Failed"].includes(pod.status?.phase ?? "") && pod;
  }, 120);
  const { out } = await kubectl(setting, { run: `logs ${name}` });
  return { phase: ended.status?.phase ?? "", lines: out.trim().split("\n") };
}

// Conformance: "should have Endpoints and EndpointSlices pointing to API Server".
test("the API's endpoints lead to it", async () => {
  const { subsets } = await client.get(endpoints, { namespace: "default", name: "kubernetes" });
  const [{ addresses, ports }] = subsets as [NonNullable<typeof subsets>[0]];
  const socket = connectTcp({ host: addresses![0]!.ip!, port: ports![0]!.port! });
  await once(socket, "connect");
  socket.destroy();
});

// The server listens on the machine's loopback, which no pod reaches.
test("a pod reaches the API at the service's address and name, with its account's rights, watches included", async () => {
  await createPod(client, "inside", nodeInside());
  expect(await logOf("inside")).toEqual({ phase: "Succeeded", lines: ["inside", "inside", "inside", "Forbidden"] });
});

test("a pod with host networking does too", async () => {
  const more = { hostNetwork: true, dnsPolicy: "ClusterFirstWithHostNet" };
  await createPod(client, "on-host", nodeInside(more));
  const { phase, lines } = await logOf("on-host");
  expect([phase, lines.at(-1)]).toEqual(["Succeeded", "Forbidden"]);
  expect(lines.slice(0, 2)).toEqual(["inside,on-host", "inside,on-host"]);
});

// client-go's rest.InClusterConfig: kubectl uses it when it has no kubeconfig.
test("kubectl in a pod lists and watches the pod's namespace by the in-cluster configuration", async () => {
  const tool = realpathSync(setting.kubectl);
  const script = `
    cd /tmp && export HOME=/tmp
    ${tool} auth whoami -o jsonpath='{.status.userInfo.username}{"\\n"}'
    ${tool} get pods -o name
    ${tool} get pods --watch -o 'jsonpath=watched {.metadata.name}{"\\n"}' >watched &
    until grep -q client-go watched; do sleep 0.1; done; kill $!; cat watched
    ${tool} get secrets 2>&1`;
  await createPod(client, "client-go", inside(["sh", "-c", script], [dirname(tool)]));
  const { lines } = await logOf("client-go");
  expect(lines[0]).toBe("system:serviceaccount:default:default");
  expect(lines).toContain("pod/client-go");
  expect(lines).toContain("watched client-go");
  expect(lines.at(-1)).toContain('User "system:serviceaccount:default:default" cannot list resource "secrets"');
});

const account = "/var/run/secrets/kubernetes.io/serviceaccount";

test("curl with the mounted token and authority lists and watches, and is refused without them", async () => {
  const script = `
    A=${account}
    get() { curl -sS --max-time 60 --cacert $A/ca.crt -H "Authorization: Bearer $(cat $A/token)" "$@"; }
    for host in $KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT kubernetes.default.svc; do
      pods=https://$host/api/v1/namespaces/$(cat $A/namespace)/pods
      get $pods | grep -o '"name":"curl"' | head -n 1
      get "$pods?watch=true&timeoutSeconds=1&fieldSelector=metadata.name=curl" | head -n 1 | cut -c 1-15
      curl -sS --cacert $A/ca.crt $pods | grep -o '"reason":"[A-Za-z]*"'
    done`;
  await createPod(client, "curl", inside(["sh", "-c", script], []));
  const once = ['"name":"curl"', '{"type":"ADDED"', '"reason":"Forbidden"'];
  expect(await logOf("curl")).toEqual({ phase: "Succeeded", lines: [...once, ...once] });
});

/** A Python with the package `kubernetes`: SKIFF_PYTHON, or the one on the path. */
const python = process.env["SKIFF_PYTHON"] ?? "python3";
const pythonFolders = (): string[] => {
  try {
    const code = "import kubernetes, sys; print(sys.executable, sys.prefix, sys.base_prefix, sep='\\n')";
    return execFileSync(python, ["-c", code], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
      .trim()
      .split("\n");
  } catch {
    return [];
  }
};
const [pythonProgram, ...prefixes] = pythonFolders();

test.skipIf(pythonProgram === undefined)(
  "the Python client lists and watches the pod's namespace (needs PyPI's package kubernetes)",
  async () => {
    const code = readFileSync("test/e2e/in_cluster_client.py", "utf8");
    await createPod(client, "python", inside([pythonProgram!, "-c", code], prefixes));
    const { phase, lines } = await logOf("python");
    const seen = JSON.parse(lines.at(-1) ?? "") as { names: string[] };
    expect([phase, seen]).toEqual([
      "Succeeded",
      { names: seen.names, watched: ["ADDED", expect.any(String)], secrets: 403 },
    ]);
    expect(seen.names).toContain("python");
  },
);

/** Runs on and prints the answer and the token's identity whenever the token is another one. */
const rotating = `
  A=${account}
  while :; do
    token=$(cat $A/token)
    if [ "$token" != "$last" ]; then
      last=$token
      code=$(curl -sS -o /dev/null -w '%{http_code}' --cacert $A/ca.crt -H "Authorization: Bearer $token" \
        https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT/api/v1/namespaces/default/pods)
      echo "$code $(echo $token | md5sum | cut -d' ' -f1)"
    fi
    sleep 1
  done`;

// The kubelet's token manager has its tokens in memory: an agent that starts again requests others.
test("the token of a running pod is exchanged for another one, which is good too", async () => {
  await createPod(client, "rotating", inside(["sh", "-c", rotating], [], { terminationGracePeriodSeconds: 0 }));
  const printed = async () => (await kubectl(setting, { run: "logs rotating" })).out.trim().split("\n").filter(Boolean);
  await until(async () => (await printed()).length === 1);
  process.kill(machine.agent, "SIGKILL");
  const lines = await until(async () => {
    const found = await printed();
    return found.length === 2 && found;
  }, 150);
  expect(lines.map((line) => line.split(" ")[0])).toEqual(["200", "200"]);
  expect((await getPod(client, "rotating")).status?.containerStatuses?.[0]?.restartCount).toBe(0);
}, 240_000);

/** Upstream's test image as a program: `go build ./test/images/agnhost` in k8s.io/kubernetes. */
const agnhost = process.env["SKIFF_AGNHOST"];

// Upstream's e2e test "should support InClusterConfig with token rotation"; a token of ten minutes is renewed after eight.
test.skipIf(agnhost === undefined)(
  "client-go in a pod follows the token of its file as it is renewed (needs agnhost, takes ten minutes)",
  async () => {
    const command = [realpathSync(agnhost!), "inclusterclient", "--poll-interval=5"];
    const { volumes, volumeMounts } = mounted([dirname(realpathSync(agnhost!))]);
    const sources = [
      { serviceAccountToken: { path: "token", expirationSeconds: 600 } },
      { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
      { downwardAPI: { items: [{ path: "namespace", fieldRef: { fieldPath: "metadata.namespace" } }] } },
    ];
    const mounts = [...volumeMounts, { name: "access", mountPath: account, readOnly: true }];
    await createPod(client, "inclusterclient", {
      ...{ restartPolicy: "Never", terminationGracePeriodSeconds: 0 },
      containers: [{ name: "main", image: "busybox", command, volumeMounts: mounts }],
      volumes: [...volumes, { name: "access", projected: { sources } }],
    });
    const { text, headers } = await until(async () => {
      const { out } = await kubectl(setting, { run: "logs inclusterclient" });
      const found = new Set(Array.from(out.matchAll(/authz_header=(\S+)/g), ([, header]) => header));
      return (found.size >= 2 || out.includes("status=failed")) && { text: out, headers: found };
    }, 900);
    expect(text).not.toContain("status=failed");
    expect(headers).not.toContain("<empty>");
    expect(headers.size).toBe(2);
  },
  1_000_000,
);

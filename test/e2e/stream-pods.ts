import { check, type Setting } from "../kubectl/runner.ts";

const box = (name: string, script: string, more: object = {}) => ({
  name,
  image: "busybox",
  command: ["sh", "-c", script],
  ...more,
});

const pod = (name: string, spec: object) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, labels: { app: name } },
  spec: { terminationGracePeriodSeconds: 1, ...spec },
});

const ports = [{ name: "http", containerPort: 80 }];
const items = [
  pod("box", { containers: [box("box", "sleep 100000")] }),
  pod("shell", { containers: [box("shell", "exec sh", { stdin: true, tty: true })] }),
  pod("cat", { containers: [box("cat", "exec cat", { stdin: true })] }),
  pod("web", { containers: [{ name: "web", image: "nginx:latest", ports }] }),
  pod("job", {
    restartPolicy: "Never",
    initContainers: [box("init", "echo prepared")],
    containers: ["a", "b"].map((name) => box(name, `echo ${name}1; sleep 4; echo ${name}2`)),
  }),
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web" },
    spec: { selector: { app: "web" }, ports: [{ name: "http", port: 8080, targetPort: "http" }] },
  },
];

/** Creates the pods of the tests of streams, and waits until they are ready; `job` ends after a few seconds. */
export async function applyStreamPods(setting: Setting): Promise<void> {
  const source = "setup";
  await check(setting, { run: "get sa default", source, within: 60 });
  const stdin = JSON.stringify({ apiVersion: "v1", kind: "List", items });
  await check(setting, { run: "apply -f -", stdin, source });
  await check(setting, { run: "wait pod/box pod/shell pod/cat pod/web --for=condition=Ready --timeout=60s", source });
  await check(setting, { run: "wait pod/job --for=condition=Initialized --timeout=60s", source });
}

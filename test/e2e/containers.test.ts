import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { containers } from "../kubectl/cases/containers.ts";
import { type SkiffProcess, startSkiff } from "../kubectl/cluster.ts";
import { check, findKubectls, kubectl, type Setting } from "../kubectl/runner.ts";
import { type Registry, startRegistry } from "./registry.ts";
import { skiffDown } from "./skiff.ts";

const path = findKubectls().at(-1) ?? "kubectl";
let registry: Registry;
let skiff: SkiffProcess;
let home: string;
let setting: Setting;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "skiff-home-"));
  writeFileSync(join(home, "editor"), "#!/bin/sh\nexit 0\n");
  chmodSync(join(home, "editor"), 0o755);
  registry = await startRegistry();
  skiff = await startSkiff(["--runtime", "containerd", "--registry-mirror", `docker.io=http://${registry.address}`]);
  setting = { kubectl: path, kubeconfig: skiff.kubeconfig, namespace: "default", home, editor: join(home, "editor") };
  await check(setting, { run: "get sa default", source: "setup", within: 10, out: /default/ });
});

afterAll(async () => {
  if (skiff) await skiffDown(skiff);
  await registry?.stop();
  if (home) rmSync(home, { recursive: true, force: true });
});

const course = "the course's manifest";

describe("the course's manifests run in containers", () => {
  test("Pod", async () => {
    await check(setting, { run: "apply -f test/manifests/pod.yaml", source: course, out: /pod\/my-app-pod created/ });
    await check(setting, { run: "wait pod/my-app-pod --for=condition=Ready --timeout=60s", source: course });
    await check(setting, {
      run: "exec my-app-pod -- wget -qO- http://127.0.0.1/",
      source: course,
      within: 5,
      out: /Welcome to nginx/,
    });
  });
  test("ReplicaSet", async () => {
    await check(setting, { run: "create ns production", global: true, source: course });
    await check(setting, {
      run: "apply -f test/manifests/replicaset.yaml",
      global: true,
      within: 5,
      source: course,
      out: /created/,
    });
    const ready = "wait rs/frontend -n production --for=jsonpath={.status.readyReplicas}=3 --timeout=90s";
    await check(setting, { run: ready, global: true, source: course });
    await check(setting, {
      run: "delete pod -n production -l tier=frontend --now",
      global: true,
      source: course,
      out: /(?:pod "frontend-\S+" deleted.*\n){3}/,
    });
    await check(setting, { run: ready, global: true, source: "a replica set makes up for what was deleted" });
  });
  test("Deployment", async () => {
    await check(setting, { run: "apply -f test/manifests/deployment.yaml", source: course, out: /created/ });
    await check(setting, {
      run: "rollout status deployment/test-nginx-deployment --timeout=90s",
      source: course,
      out: /successfully rolled out/,
    });
    await check(setting, {
      run: "apply -f test/manifests/deployment.yaml",
      source: "the second time without a write",
      out: /unchanged/,
    });
    await check(setting, { run: "set image deployment/test-nginx-deployment nginx=nginx:latest", source: course });
    await check(setting, {
      run: "rollout status deployment/test-nginx-deployment --timeout=90s",
      source: course,
      out: /successfully rolled out/,
    });
    await check(setting, { run: "delete deployment test-nginx-deployment", source: course });
  });
});

describe("kubectl reaches into containers", () => {
  test.each(containers)("$run", { timeout: 90_000 }, (step) => check(setting, step));

  test("exec -it has a terminal", async () => {
    const command = `${path} exec -it my-app-pod -- sh -c "tty && echo done"`;
    const child = spawn("script", ["-qec", command, "/dev/null"], {
      env: { ...process.env, KUBECONFIG: skiff.kubeconfig, HOME: home },
    });
    let out = "";
    child.stdout.on("data", (chunk) => {
      out += chunk;
    });
    await once(child, "close");
    expect(out).toMatch(/\/dev\/pts\/\d+\r\ndone/);
  });

  test("port-forward carries a request", async () => {
    const child = spawn(path, ["port-forward", "pod/my-app-pod", ":80"], {
      env: { ...process.env, KUBECONFIG: skiff.kubeconfig, HOME: home },
    });
    try {
      let out = "";
      const port = await new Promise<string>((resolve, reject) => {
        child.stdout.on("data", (chunk) => {
          out += chunk;
          const found = /127\.0\.0\.1:(\d+) -> 80/.exec(out)?.[1];
          if (found) resolve(found);
        });
        child.once("exit", () => reject(new Error(`port-forward ended: ${out}`)));
      });
      const answer = await fetch(`http://127.0.0.1:${port}/`);
      expect(await answer.text()).toContain("Welcome to nginx");
    } finally {
      child.kill("SIGKILL");
    }
  });
});

test("restarts a container that fails, and keeps its previous log", async () => {
  const run = "run crasher --image=busybox:latest --restart=Always --command -- sh -c 'echo failing; exit 3'";
  await check(setting, { run, source: "kubelet" });
  const restarted = { run: "get pod crasher -o json", source: "kubelet", within: 40 };
  await check(setting, {
    ...restarted,
    json: ({ status }) => {
      const [container] = status.containerStatuses;
      expect(container.restartCount).toBeGreaterThan(0);
      expect(container.lastState.terminated.exitCode).toBe(3);
    },
  });
  await check(setting, { run: "logs crasher --previous", source: "kubelet", within: 10, out: /^failing$/m });
  await check(setting, { run: "get pod crasher", source: "kubelet", within: 60, out: /CrashLoopBackOff/ });
  await check(setting, { run: "delete pod crasher --now", source: "kubelet" });
});

test("reports an image that does not exist", async () => {
  await check(setting, { run: "run lost --image=nowhere:1 --restart=Never", source: "kubelet" });
  await check(setting, { run: "get pod lost", source: "kubelet", within: 60, out: /ErrImagePull|ImagePullBackOff/ });
  await check(setting, { run: "delete pod lost --now", source: "kubelet" });
});

test("passes configuration to a container by file and by environment", async () => {
  await kubectl(setting, { run: "create configmap conf --from-literal=colour=green" });
  await kubectl(setting, { run: "create secret generic hidden --from-literal=word=abc" });
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "configured", labels: { a: "b" } },
    spec: {
      restartPolicy: "Never",
      terminationGracePeriodSeconds: 1,
      initContainers: [
        {
          name: "first",
          image: "busybox",
          command: ["sh", "-c", "echo made > /shared/file"],
          volumeMounts: [{ name: "shared", mountPath: "/shared" }],
        },
      ],
      containers: [
        {
          name: "main",
          image: "busybox",
          command: ["sh", "-c", "cat /conf/colour /shared/file; echo; echo $WORD $COLOUR $NAME $(HOST); sleep 1000"],
          env: [
            { name: "WORD", valueFrom: { secretKeyRef: { name: "hidden", key: "word" } } },
            { name: "COLOUR", valueFrom: { configMapKeyRef: { name: "conf", key: "colour" } } },
            { name: "NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
          ],
          volumeMounts: [
            { name: "conf", mountPath: "/conf" },
            { name: "shared", mountPath: "/shared" },
          ],
          resources: { limits: { memory: "32Mi", cpu: "200m" } },
        },
      ],
      volumes: [
        { name: "conf", configMap: { name: "conf" } },
        { name: "shared", emptyDir: {} },
      ],
    },
  };
  await check(setting, { run: "apply -f -", stdin: JSON.stringify(pod), source: "kubelet", out: /created/ });
  await check(setting, {
    run: "logs configured -c main",
    source: "kubelet",
    within: 30,
    out: /green.*made\n[\s\S]*abc green configured/,
  });
  await check(setting, {
    run: "exec configured -c main -- sh -c 'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; true'",
    source: "kubelet",
    out: /33554432/,
  });
  await check(setting, { run: "delete pod configured --now", source: "kubelet" });
});

test("gives a container its service account's token, the CA and its namespace, and the API accepts the token", async () => {
  const run = "run bearer --image=busybox:latest --restart=Never --command -- sleep 1000";
  await check(setting, { run, source: "kubelet", out: /created/ });
  await check(setting, { run: "wait pod/bearer --for=condition=Ready --timeout=60s", source: "kubelet" });
  const folder = "/var/run/secrets/kubernetes.io/serviceaccount";
  const cat = (file: string) => ({ run: `exec bearer -- cat ${folder}/${file}`, source: "upstream admission" });
  await check(setting, { ...cat("namespace"), out: /^default$/ });
  await check(setting, { ...cat("ca.crt"), out: /BEGIN CERTIFICATE/ });
  const { out: token } = await kubectl(setting, cat("token"));
  const config = JSON.parse(readFileSync(setting.kubeconfig, "utf8"));
  config.users[0].user = { token };
  const kubeconfig = join(home, "bearer");
  writeFileSync(kubeconfig, JSON.stringify(config));
  const source = "upstream validator";
  const out = [/Username\s+system:serviceaccount:default:default/, /pod-name\s+\[bearer\]/];
  await check({ ...setting, kubeconfig }, { run: "auth whoami", source, out });
  await check(setting, { run: "delete pod bearer --now", source: "kubelet" });
});

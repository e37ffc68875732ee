import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Pod, pods } from "#api";
import type { HttpClient } from "#client";
import { check, kubectl, type Setting } from "../kubectl/runner.ts";
import { createPod, findPod, getPod, readyPod, until } from "./client.ts";
import { Machine } from "./machine.ts";

let machine: Machine;
let client: HttpClient;
let setting: Setting;

beforeAll(async () => {
  machine = await Machine.open();
  ({ client, setting } = machine);
});
afterAll(() => machine?.close());

const grace = { terminationGracePeriodSeconds: 1 };
const busybox = (name: string, script: string, more: object = {}) => ({
  ...{ name, image: "busybox", command: ["sh", "-c", script] },
  ...more,
});
const first = ({ status }: Pod) => status?.containerStatuses?.[0];
const source = "kubelet of v1.37.2";

test("a missing command ends a pod that is not restarted, with the runtime's message", async () => {
  const containers = [{ name: "main", image: "busybox", command: ["/bin/no-such-thing"] }];
  await createPod(client, "typo", { ...grace, restartPolicy: "Never", containers });
  await createPod(client, "again", { ...grace, restartPolicy: "Always", containers });
  const ended = await until(async () => {
    const pod = await getPod(client, "typo");
    return pod.status?.phase === "Failed" && pod;
  });
  expect(first(ended)?.state?.terminated).toMatchObject({
    exitCode: 128,
    reason: "StartError",
    startedAt: "1970-01-01T00:00:00Z",
  });
  expect(ended.spec?.nodeName).toBe("boat");
  const waiting = await until(async () => {
    const pod = await getPod(client, "again");
    return first(pod)?.state?.waiting?.reason === "CrashLoopBackOff" && pod;
  });
  expect(first(waiting)?.lastState?.terminated).toMatchObject({ exitCode: 128, reason: "StartError" });
});

test("logs of a container that could not be created return the reason", async () => {
  const missing = { envFrom: [{ configMapRef: { name: "absent" } }] };
  await createPod(client, "config", { ...grace, containers: [busybox("main", "true", missing)] });
  const never = { image: "absent:1", imagePullPolicy: "Never" };
  await createPod(client, "never", { ...grace, containers: [busybox("main", "true", never)] });
  for (const [name, reason] of [
    ["config", "CreateContainerConfigError"],
    ["never", "ErrImageNeverPull"],
  ] as const) {
    await until(async () => first(await getPod(client, name))?.state?.waiting?.reason === reason);
    const err = new RegExp(`container "main" in pod "${name}" is waiting to start: ${reason}`);
    await check(setting, { run: `logs ${name}`, source, code: 1, err });
  }
});

test("a startup probe delays the second of two containers", async () => {
  const web = busybox("web", "sleep 4; touch /up; sleep 1000", {
    startupProbe: { exec: { command: ["test", "-f", "/up"] }, periodSeconds: 1, failureThreshold: 60 },
    livenessProbe: { exec: { command: ["test", "-f", "/up"] }, periodSeconds: 1, failureThreshold: 1 },
  });
  await createPod(client, "slow", { ...grace, containers: [web, busybox("other", "sleep 1000")] });
  const seen = new Set<string>();
  const pod = await until(async () => {
    const now = await getPod(client, "slow");
    const status = now.status?.containerStatuses?.find(({ name }) => name === "web");
    if (status?.state?.running) seen.add(`${status.started} ${status.ready} ${status.restartCount}`);
    return status?.ready && now;
  });
  expect([...seen]).toEqual(["false false 0", "true true 0"]);
  expect(pod.status?.containerStatuses?.map(({ restartCount }) => restartCount)).toEqual([0, 0]);
});

test("a container's token is stored in memory", async () => {
  await createPod(client, "token", { ...grace, containers: [busybox("main", "sleep 1000")] });
  await readyPod(client, "token");
  const out = /^tmpfs \/var\/run\/secrets\/kubernetes.io\/serviceaccount tmpfs /m;
  await check(setting, { run: "exec token -- cat /proc/mounts", source, out });
});

// containerd mounts images for CRI from 2.1 on only; the agent mounts them for all of them.
test("a volume of an image has its files, read-only, and is unmounted with the pod", async () => {
  const script = "cat /files/etc/passwd; touch /files/new; echo $?; sleep 3600";
  const mounts = [{ name: "files", mountPath: "/files" }];
  const volumes = [{ name: "files", image: { reference: "nginx", pullPolicy: "IfNotPresent" } }];
  const { metadata } = await createPod(client, "files", {
    ...{ ...grace, volumes, containers: [busybox("main", script, { volumeMounts: mounts })] },
  });
  await readyPod(client, "files");
  const log = () => kubectl(setting, { run: "logs files" }).then(({ out }) => out);
  await until(async () => (await log()).includes("1\n"));
  expect(await log()).toContain("root:");
  const mounted = () =>
    readFileSync("/proc/mounts", "utf8").includes(`${metadata.uid}/volumes/kubernetes.io~image/files`);
  expect(mounted()).toBe(true);
  await client.delete(pods, { namespace: "default", name: "files" });
  await until(async () => !(await findPod(client, "files")));
  expect(mounted()).toBe(false);
});

test("kubectl debug copies a pod with another command, and opens a shell on the node", async () => {
  await createPod(client, "broken", { ...grace, containers: [busybox("main", "exit 1")] });
  const copy = "debug broken --copy-to=copied --container=main --profile=general -- sleep 3600";
  await check(setting, { run: copy, source });
  await readyPod(client, "copied");
  // Nothing is attached to it if it ends sooner.
  const shell = "debug node/boat --image=busybox --profile=sysadmin --attach=true -- ls /host/proc/1";
  await check(setting, { run: shell, source, within: 60, out: /cmdline/ });
});

// The kubelet's seccompProfileRoot: the folder `seccomp` of the node's own.
test("a seccomp profile of the node's folder applies, and a missing one names its file", async () => {
  const profiles = join(machine.dataDir, "agents", "containerd", "seccomp");
  mkdirSync(profiles, { recursive: true });
  const denied = { names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO" };
  writeFileSync(
    join(profiles, "no-mkdir.json"),
    JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", syscalls: [denied] }),
  );
  const profiled = (localhostProfile: string) => ({
    securityContext: { seccompProfile: { type: "Localhost", localhostProfile } },
  });
  const script = "mkdir /tmp/x 2>&1; echo $?; sleep 3600";
  await createPod(client, "profiled", { ...grace, containers: [busybox("main", script, profiled("no-mkdir.json"))] });
  await createPod(client, "missing", { ...grace, containers: [busybox("main", script, profiled("none.json"))] });
  await readyPod(client, "profiled");
  await check(setting, { run: "logs profiled", source, out: /not permitted[\s\S]*1\n/, within: 20 });
  const waiting = await until(async () => {
    const { state } = first(await getPod(client, "missing")) ?? {};
    return state?.waiting?.reason === "CreateContainerError" && state.waiting;
  });
  expect(waiting.message).toContain("seccomp/none.json");
});

test("a rule restarts all containers of a pod in its sandbox, with their logs kept", async () => {
  const rules = [{ action: "RestartAllContainers", exitCodes: { operator: "In", values: [42] } }];
  const source42 = busybox("source", "if [ -f /data/again ]; then sleep 3600; fi; touch /data/again; exit 42", {
    ...{ restartPolicy: "Never", restartPolicyRules: rules, volumeMounts: [{ name: "data", mountPath: "/data" }] },
  });
  await createPod(client, "together", {
    ...{ ...grace, restartPolicy: "Never", volumes: [{ name: "data", emptyDir: {} }] },
    containers: [source42, busybox("other", "sleep 3600")],
  });
  const pod = await until(async () => {
    const now = await getPod(client, "together");
    const all = now.status?.containerStatuses ?? [];
    return all.length === 2 && all.every(({ restartCount, ready }) => restartCount === 1 && ready) && now;
  });
  expect(pod.status?.phase).toBe("Running");
  expect(pod.status?.containerStatuses?.[1]?.lastState?.terminated?.reason).toBe("RestartingAllContainers");
});

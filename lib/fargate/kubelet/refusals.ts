import { type Container, isSidecar, type Pod, type PodSpec, type Probe, type Volume } from "#api";
import { deepEqual } from "#base";
import { fieldValue, knownResource, mentions } from "./env.ts";
import { probesOf } from "./health.ts";
import { disk, diskOf, largest, sizeOf } from "./sizes.ts";

/** Why a pod cannot run here, as a word for programs and a sentence for people. */
export interface Refusal {
  reason: string;
  message: string;
}

/** What is asked for, and by which field. */
interface Wish {
  field: string;
  is: boolean | undefined;
  why: string;
}

const mostContainers = 10;
/** Only this capability can be added on Fargate. */
const addable = new Set(["SYS_PTRACE", "CAP_SYS_PTRACE"]);

/** Everything in a pod that Fargate cannot do, named; undefined when there is nothing. */
export function refusalOf(pod: Pod): Refusal | undefined {
  const spec = pod.spec ?? { containers: [] };
  const wishes = [
    ...podWishes(pod, spec),
    ...volumeWishes(spec),
    ...allContainers(spec).flatMap((each) => containerWishes(spec, each)),
  ];
  const found = wishes.filter(({ is }) => is).map(({ field, why }) => `${field}: ${why}`);
  if (found.length > 0) return { reason: "UnsupportedOnFargate", message: `Pod was rejected: ${found.join("; ")}` };
  return tooLarge(spec);
}

function tooLarge(spec: PodSpec): Refusal | undefined {
  const most = `${largest.cpu / 1024} cores and ${largest.memory / 1024}Gi of memory`;
  if (!sizeOf(spec)) {
    return { reason: "OutOfcpu", message: `Pod was rejected: the largest task on Fargate has ${most}` };
  }
  if ((diskOf(spec) ?? 0) <= disk.most) return undefined;
  const message = `Pod was rejected: a task on Fargate has at most ${disk.most}Gi of disk`;
  return { reason: "OutOfephemeral-storage", message };
}

export const allContainers = (spec: PodSpec): Container[] => [...(spec.initContainers ?? []), ...spec.containers];

/** The volume that admission adds for a service account's token, which nobody has asked for by name. */
export const isTokenVolume = (spec: PodSpec, { name, projected }: Volume): boolean =>
  projected !== undefined && name.startsWith("kube-api-access-") && spec.automountServiceAccountToken !== true;

const noHost = "the host is not ours";

function podWishes({ metadata }: Pod, spec: PodSpec): Wish[] {
  const { securityContext: rights = {}, dnsConfig = {}, containers } = spec;
  const names = "a task gets its names and its resolver from the VPC";
  const owner = metadata.ownerReferences?.find(({ controller }) => controller)?.kind;
  return [
    wish("metadata.ownerReferences", owner === "DaemonSet", "pods of a DaemonSet run on machines"),
    wish(
      "spec.containers",
      allContainers(spec).length > mostContainers,
      `a task has ${mostContainers} containers at most`,
    ),
    wish(
      "spec.containers",
      containers.length > 1 && (spec.restartPolicy ?? "Always") !== "Always",
      `with the restart policy ${spec.restartPolicy} a task ends with the first of several containers that ends`,
    ),
    wish("spec.hostNetwork", spec.hostNetwork, noHost),
    wish("spec.hostPID", spec.hostPID, noHost),
    wish("spec.hostIPC", spec.hostIPC, noHost),
    wish("spec.hostUsers", spec.hostUsers === false, "user namespaces are not to be had"),
    wish("spec.hostAliases", some(spec.hostAliases), names),
    wish("spec.hostname", set(spec.hostname), names),
    wish("spec.subdomain", set(spec.subdomain), names),
    wish("spec.hostnameOverride", set(spec.hostnameOverride), names),
    wish("spec.setHostnameAsFQDN", spec.setHostnameAsFQDN, names),
    wish("spec.dnsPolicy", spec.dnsPolicy === "None", names),
    wish("spec.dnsConfig", Object.values(dnsConfig).some(some), names),
    wish("spec.imagePullSecrets", some(spec.imagePullSecrets), "images are pulled by the task execution role"),
    wish("spec.runtimeClassName", set(spec.runtimeClassName), "there is one runtime"),
    wish("spec.os", spec.os?.name === "windows", "tasks run Linux"),
    wish("spec.resourceClaims", some(spec.resourceClaims), "there are no devices"),
    wish("spec.securityContext.fsGroup", rights.fsGroup !== undefined, "volumes keep their owner"),
    wish("spec.securityContext.supplementalGroups", some(rights.supplementalGroups), "groups cannot be added"),
    wish("spec.securityContext.sysctls", some(rights.sysctls), "kernel settings are not ours"),
    ...rightsWishes("spec.securityContext", rights),
  ];
}

const wish = (field: string, is: boolean | undefined, why: string): Wish => ({ field, is, why });
const some = (list: readonly unknown[] | undefined): boolean => (list?.length ?? 0) > 0;
const set = (text: string | undefined): boolean => (text ?? "") !== "";

function volumeWishes(spec: PodSpec): Wish[] {
  return (spec.volumes ?? [])
    .filter((volume) => !isTokenVolume(spec, volume))
    .flatMap((volume) => {
      const { name, emptyDir } = volume;
      const type = Object.keys(volume).find((key) => key !== "name") ?? "none";
      const field = `spec.volumes{${name}}.${type}`;
      return [
        wish(field, emptyDir === undefined, "of the volumes only emptyDir is to be had"),
        wish(`${field}.medium`, set(emptyDir?.medium), "volumes lie on the disk"),
      ];
    });
}

type Rights = NonNullable<Container["securityContext"]> | NonNullable<PodSpec["securityContext"]>;

function rightsWishes(at: string, { seccompProfile, appArmorProfile, ...rights }: Rights): Wish[] {
  return [
    wish(`${at}.seLinuxOptions`, rights.seLinuxOptions !== undefined, noHost),
    wish(`${at}.windowsOptions`, rights.windowsOptions !== undefined, "tasks run Linux"),
    wish(
      `${at}.seccompProfile`,
      (seccompProfile?.type ?? "RuntimeDefault") !== "RuntimeDefault",
      "it is always RuntimeDefault",
    ),
    wish(`${at}.appArmorProfile`, (appArmorProfile?.type ?? "Unconfined") !== "Unconfined", "there is no AppArmor"),
  ];
}

function containerWishes(spec: PodSpec, container: Container): Wish[] {
  const at = `spec.containers{${container.name}}`;
  const { securityContext: rights = {}, lifecycle = {}, resources = {} } = container;
  const { runAsNonRoot, runAsUser, runAsGroup } = { ...spec.securityContext, ...rights };
  const amounts = Object.keys({ ...resources.limits, ...resources.requests });
  const unknown = amounts.filter((name) => !["cpu", "memory", "ephemeral-storage"].includes(name));
  return [
    wish(`${at}.securityContext.privileged`, rights.privileged, noHost),
    wish(
      `${at}.securityContext.allowPrivilegeEscalation`,
      rights.allowPrivilegeEscalation === false,
      "ECS cannot keep a process from gaining rights",
    ),
    wish(`${at}.securityContext.procMount`, (rights.procMount ?? "Default") !== "Default", noHost),
    wish(
      `${at}.securityContext.capabilities.add`,
      rights.capabilities?.add?.some((name) => !addable.has(name)),
      "only SYS_PTRACE can be added",
    ),
    ...rightsWishes(`${at}.securityContext`, rights),
    wish(
      `${at}.securityContext.runAsNonRoot`,
      runAsNonRoot === true && !runAsUser,
      "the image's user is not known here: a runAsUser must say who it is",
    ),
    wish(
      `${at}.securityContext.runAsGroup`,
      runAsGroup !== undefined && runAsUser === undefined,
      "a group without a runAsUser cannot be told to ECS",
    ),
    wish(`${at}.lifecycle.postStart`, lifecycle.postStart !== undefined, "nothing can be done inside a task"),
    wish(`${at}.lifecycle.preStop`, lifecycle.preStop !== undefined, "nothing can be done inside a task"),
    wish(`${at}.lifecycle.stopSignal`, set(lifecycle.stopSignal), "the image says with which signal it stops"),
    wish(`${at}.imagePullPolicy`, container.imagePullPolicy === "Never", "images are always pulled"),
    wish(`${at}.resources`, unknown.length > 0, `there is no ${unknown.join(", ")}`),
    wish(`${at}.restartPolicyRules`, some(container.restartPolicyRules), "ECS knows no such rules"),
    wish(
      `${at}.restartPolicy`,
      container.restartPolicy !== undefined && !isSidecar(container),
      "the pod's restart policy holds",
    ),
    wish(
      `${at}.ports`,
      container.ports?.some(({ hostPort }) => (hostPort ?? 0) > 0),
      "a task has an address of its own",
    ),
    wish(`${at}.volumeDevices`, some(container.volumeDevices), "there are no devices"),
    ...(container.volumeMounts ?? []).flatMap((mount) => [
      wish(
        `${at}.volumeMounts{${mount.name}}.subPath`,
        set(mount.subPath) || set(mount.subPathExpr),
        "volumes are mounted whole",
      ),
      wish(
        `${at}.volumeMounts{${mount.name}}.mountPropagation`,
        (mount.mountPropagation ?? "None") !== "None",
        "mounts do not pass between containers",
      ),
    ]),
    ...environmentWishes(at, container),
    ...probeWishes(at, container),
  ];
}

function environmentWishes(at: string, { env = [], envFrom = [], command = [] }: Container): Wish[] {
  const secrets = "what is told to ECS can be read by all who may describe tasks";
  const own = new Set(env.filter(({ valueFrom }) => valueFrom?.fieldRef).map(({ name }) => name));
  return [
    wish(
      `${at}.envFrom.secretRef`,
      envFrom.some(({ secretRef }) => secretRef),
      secrets,
    ),
    wish(`${at}.command`, mentions(command[0], own), "the program cannot depend on the pod"),
    ...env.flatMap(({ name, valueFrom: { secretKeyRef, fileKeyRef, fieldRef, resourceFieldRef } = {} }) => [
      wish(`${at}.env{${name}}.secretKeyRef`, secretKeyRef !== undefined, secrets),
      wish(`${at}.env{${name}}.fileKeyRef`, fileKeyRef !== undefined, "files of a volume cannot be read"),
      wish(
        `${at}.env{${name}}.fieldRef`,
        fieldRef && fieldValue(anyPod, fieldRef.fieldPath) === undefined,
        `${fieldRef?.fieldPath} is not known before the task runs`,
      ),
      wish(
        `${at}.env{${name}}.resourceFieldRef`,
        resourceFieldRef && !knownResource.test(resourceFieldRef.resource),
        `there is no ${resourceFieldRef?.resource}`,
      ),
    ]),
  ];
}

/** Has every field that can be known: what it lacks cannot. */
const anyPod: Pod = {
  metadata: { name: "a", namespace: "a", uid: "a" },
  spec: { containers: [], nodeName: "a", serviceAccountName: "a" },
};

function probeWishes(at: string, container: Container): Wish[] {
  const probes = probesOf(container);
  const kindOf = (probe: Probe): string =>
    (["httpGet", "tcpSocket", "grpc"] as const).find((kind) => probe[kind] !== undefined) ?? "exec";
  const [first] = probes;
  return [
    ...probes.map((probe) =>
      wish(`${at}.probes.${kindOf(probe)}`, kindOf(probe) !== "exec", "ECS can only probe by running a program"),
    ),
    wish(
      `${at}.probes`,
      probes.some(({ exec }) => exec && first?.exec && !deepEqual(exec.command, first.exec.command)),
      "a container has one health check, so all its probes must run the same program",
    ),
  ];
}

import { type Container, isSidecar, type Pod, type PodSpec, type Probe, type Volume } from "#api";
import { deepEqual } from "#base";
import { fieldValue, knownResource, mentions } from "./env.ts";
import { probesOf } from "./health.ts";
import { disk, diskOf, largest, sizeOf } from "./sizes.ts";

/** Why a pod cannot run here: a reason for programs, and a message for users. */
export interface Refusal {
  reason: string;
  message: string;
}

/** A requested feature, by its field. */
interface Feature {
  field: string;
  is: boolean | undefined;
  why: string;
}

const mostContainers = 10;
/** Only this capability can be added on Fargate. */
const addable = new Set(["SYS_PTRACE", "CAP_SYS_PTRACE"]);

/** Every field of a pod that Fargate does not support, by name; undefined if there is none. */
export function refusalOf(pod: Pod): Refusal | undefined {
  const spec = pod.spec ?? { containers: [] };
  const features = [
    ...podFeatures(pod, spec),
    ...volumeFeatures(spec),
    ...allContainers(spec).flatMap((each) => containerFeatures(spec, each)),
  ];
  const found = features.filter(({ is }) => is).map(({ field, why }) => `${field}: ${why}`);
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

/** The volume that admission adds for a service account's token, unless the pod requests it explicitly. */
export const isTokenVolume = (spec: PodSpec, { name, projected }: Volume): boolean =>
  projected !== undefined && name.startsWith("kube-api-access-") && spec.automountServiceAccountToken !== true;

const noHost = "Fargate gives no access to the host";

function podFeatures({ metadata }: Pod, spec: PodSpec): Feature[] {
  const { securityContext: rights = {}, dnsConfig = {}, containers } = spec;
  const names = "a task gets its names and its resolver from the VPC";
  const owner = metadata.ownerReferences?.find(({ controller }) => controller)?.kind;
  return [
    feature("metadata.ownerReferences", owner === "DaemonSet", "pods of a DaemonSet run on machines"),
    feature(
      "spec.containers",
      allContainers(spec).length > mostContainers,
      `a task has ${mostContainers} containers at most`,
    ),
    feature(
      "spec.containers",
      containers.length > 1 && (spec.restartPolicy ?? "Always") !== "Always",
      `with the restart policy ${spec.restartPolicy} a task ends with the first of several containers that ends`,
    ),
    feature("spec.hostNetwork", spec.hostNetwork, noHost),
    feature("spec.hostPID", spec.hostPID, noHost),
    feature("spec.hostIPC", spec.hostIPC, noHost),
    feature("spec.hostUsers", spec.hostUsers === false, "Fargate has no user namespaces"),
    feature("spec.hostAliases", some(spec.hostAliases), names),
    feature("spec.hostname", set(spec.hostname), names),
    feature("spec.subdomain", set(spec.subdomain), names),
    feature("spec.hostnameOverride", set(spec.hostnameOverride), names),
    feature("spec.setHostnameAsFQDN", spec.setHostnameAsFQDN, names),
    feature("spec.dnsPolicy", spec.dnsPolicy === "None", names),
    feature("spec.dnsConfig", Object.values(dnsConfig).some(some), names),
    feature("spec.imagePullSecrets", some(spec.imagePullSecrets), "images are pulled by the task execution role"),
    feature("spec.runtimeClassName", set(spec.runtimeClassName), "Fargate has one runtime"),
    feature("spec.os", spec.os?.name === "windows", "tasks run Linux"),
    feature("spec.resourceClaims", some(spec.resourceClaims), "Fargate has no devices"),
    feature("spec.securityContext.fsGroup", rights.fsGroup !== undefined, "volumes keep their owner"),
    feature("spec.securityContext.supplementalGroups", some(rights.supplementalGroups), "groups cannot be added"),
    feature("spec.securityContext.sysctls", some(rights.sysctls), "Fargate allows no kernel settings"),
    ...rightsFeatures("spec.securityContext", rights),
  ];
}

const feature = (field: string, is: boolean | undefined, why: string): Feature => ({ field, is, why });
const some = (list: readonly unknown[] | undefined): boolean => (list?.length ?? 0) > 0;
const set = (text: string | undefined): boolean => (text ?? "") !== "";

function volumeFeatures(spec: PodSpec): Feature[] {
  return (spec.volumes ?? [])
    .filter((volume) => !isTokenVolume(spec, volume))
    .flatMap((volume) => {
      const { name, emptyDir } = volume;
      const type = Object.keys(volume).find((key) => key !== "name") ?? "none";
      const field = `spec.volumes{${name}}.${type}`;
      return [
        feature(field, emptyDir === undefined, "only emptyDir volumes are supported"),
        feature(`${field}.medium`, set(emptyDir?.medium), "volumes are on the disk"),
      ];
    });
}

type Rights = NonNullable<Container["securityContext"]> | NonNullable<PodSpec["securityContext"]>;

function rightsFeatures(at: string, { seccompProfile, appArmorProfile, ...rights }: Rights): Feature[] {
  return [
    feature(`${at}.seLinuxOptions`, rights.seLinuxOptions !== undefined, noHost),
    feature(`${at}.windowsOptions`, rights.windowsOptions !== undefined, "tasks run Linux"),
    feature(
      `${at}.seccompProfile`,
      (seccompProfile?.type ?? "RuntimeDefault") !== "RuntimeDefault",
      "it is always RuntimeDefault",
    ),
    feature(`${at}.appArmorProfile`, (appArmorProfile?.type ?? "Unconfined") !== "Unconfined", "there is no AppArmor"),
  ];
}

function containerFeatures(spec: PodSpec, container: Container): Feature[] {
  const at = `spec.containers{${container.name}}`;
  const { securityContext: rights = {}, lifecycle = {}, resources = {} } = container;
  const { runAsNonRoot, runAsUser, runAsGroup } = { ...spec.securityContext, ...rights };
  const amounts = Object.keys({ ...resources.limits, ...resources.requests });
  const unknown = amounts.filter((name) => !["cpu", "memory", "ephemeral-storage"].includes(name));
  return [
    feature(`${at}.securityContext.privileged`, rights.privileged, noHost),
    feature(
      `${at}.securityContext.allowPrivilegeEscalation`,
      rights.allowPrivilegeEscalation === false,
      "ECS cannot prevent privilege escalation",
    ),
    feature(`${at}.securityContext.procMount`, (rights.procMount ?? "Default") !== "Default", noHost),
    feature(
      `${at}.securityContext.capabilities.add`,
      rights.capabilities?.add?.some((name) => !addable.has(name)),
      "only SYS_PTRACE can be added",
    ),
    ...rightsFeatures(`${at}.securityContext`, rights),
    feature(
      `${at}.securityContext.runAsNonRoot`,
      runAsNonRoot === true && !runAsUser,
      "the image's user is unknown before the task runs: set runAsUser",
    ),
    feature(
      `${at}.securityContext.runAsGroup`,
      runAsGroup !== undefined && runAsUser === undefined,
      "ECS does not support a group without a runAsUser",
    ),
    feature(`${at}.lifecycle.postStart`, lifecycle.postStart !== undefined, "ECS cannot run a hook inside a task"),
    feature(`${at}.lifecycle.preStop`, lifecycle.preStop !== undefined, "ECS cannot run a hook inside a task"),
    feature(`${at}.lifecycle.stopSignal`, set(lifecycle.stopSignal), "the image determines the stop signal"),
    feature(`${at}.imagePullPolicy`, container.imagePullPolicy === "Never", "images are always pulled"),
    feature(`${at}.resources`, unknown.length > 0, `there is no ${unknown.join(", ")}`),
    feature(`${at}.restartPolicyRules`, some(container.restartPolicyRules), "ECS does not support such rules"),
    feature(
      `${at}.restartPolicy`,
      container.restartPolicy !== undefined && !isSidecar(container),
      "the restart policy of the pod applies",
    ),
    feature(
      `${at}.ports`,
      container.ports?.some(({ hostPort }) => (hostPort ?? 0) > 0),
      "a task has an address of its own",
    ),
    feature(`${at}.volumeDevices`, some(container.volumeDevices), "Fargate has no devices"),
    ...(container.volumeMounts ?? []).flatMap((mount) => [
      feature(
        `${at}.volumeMounts{${mount.name}}.subPath`,
        set(mount.subPath) || set(mount.subPathExpr),
        "volumes are mounted whole",
      ),
      feature(
        `${at}.volumeMounts{${mount.name}}.mountPropagation`,
        (mount.mountPropagation ?? "None") !== "None",
        "mounts are not propagated",
      ),
    ]),
    ...environmentFeatures(at, container),
    ...probeFeatures(at, container),
  ];
}

function environmentFeatures(at: string, { env = [], envFrom = [], command = [] }: Container): Feature[] {
  const secrets = "values passed to ECS can be read by every principal that may describe tasks";
  const own = new Set(env.filter(({ valueFrom }) => valueFrom?.fieldRef).map(({ name }) => name));
  return [
    feature(
      `${at}.envFrom.secretRef`,
      envFrom.some(({ secretRef }) => secretRef),
      secrets,
    ),
    feature(`${at}.command`, mentions(command[0], own), "the program cannot depend on the pod"),
    ...env.flatMap(({ name, valueFrom: { secretKeyRef, fileKeyRef, fieldRef, resourceFieldRef } = {} }) => [
      feature(`${at}.env{${name}}.secretKeyRef`, secretKeyRef !== undefined, secrets),
      feature(`${at}.env{${name}}.fileKeyRef`, fileKeyRef !== undefined, "files of a volume cannot be read"),
      feature(
        `${at}.env{${name}}.fieldRef`,
        fieldRef && fieldValue(anyPod, fieldRef.fieldPath) === undefined,
        `${fieldRef?.fieldPath} is not known before the task runs`,
      ),
      feature(
        `${at}.env{${name}}.resourceFieldRef`,
        resourceFieldRef && !knownResource.test(resourceFieldRef.resource),
        `there is no ${resourceFieldRef?.resource}`,
      ),
    ]),
  ];
}

/** A pod with every field that is known before the task runs; the others are unsupported. */
const anyPod: Pod = {
  metadata: { name: "a", namespace: "a", uid: "a" },
  spec: { containers: [], nodeName: "a", serviceAccountName: "a" },
};

function probeFeatures(at: string, container: Container): Feature[] {
  const probes = probesOf(container);
  const kindOf = (probe: Probe): string =>
    (["httpGet", "tcpSocket", "grpc"] as const).find((kind) => probe[kind] !== undefined) ?? "exec";
  const [first] = probes;
  return [
    ...probes.map((probe) =>
      feature(`${at}.probes.${kindOf(probe)}`, kindOf(probe) !== "exec", "ECS can only probe by running a program"),
    ),
    feature(
      `${at}.probes`,
      probes.some(({ exec }) => exec && first?.exec && !deepEqual(exec.command, first.exec.command)),
      "a container has one health check, so all its probes must run the same program",
    ),
  ];
}

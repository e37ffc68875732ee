import { chmod, mkdir, open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type ContainerSpec, defaultSecurity, type Image, type MountSpec, type SecuritySpec } from "#agent/runtime";
import type { Mounted } from "#agent/volumes";
import type { Container, Pod, VolumeMount } from "#api";
import { messageOf } from "#base";
import { type NodeFacts, type PodsContext, podLabel, StartError } from "./context.ts";
import { environmentOf, expand } from "./env.ts";
import { hostNetworkHosts, hostsFile } from "./hosts.ts";
import { resourcesOf } from "./qos.ts";
import { resourcesAnnotation, resourcesText } from "./resizer.ts";
import { containerHash, profileOf, seccompOf } from "./sandbox-spec.ts";

export const hashAnnotation = "skiff.dev/container-hash";

export interface ContainerPlan {
  pod: Pod;
  container: Container;
  attempt: number;
  image: Image;
  volumes: Record<string, Mounted>;
  podIPs: string[];
  /** For an ephemeral container that shares the processes of another container. */
  targetContainerId?: string | undefined;
}

/** The spec from which the runtime creates a container. Throws StartError CreateContainerConfigError. */
export async function containerSpecOf(context: PodsContext, plan: ContainerPlan): Promise<ContainerSpec> {
  const { pod, container, attempt, image } = plan;
  if (container.volumeDevices?.length) {
    throw new StartError("CreateContainerConfigError", "block volumes (volumeDevices) are not supported by this node");
  }
  const env = await environmentOf(context, plan);
  const files = await hostFiles(context, plan);
  const resources = resourcesOf(pod, container, context.node);
  return {
    name: container.name,
    attempt,
    image: container.image ?? "",
    imageId: image.id,
    ...(container.command?.length ? { command: container.command.map((word) => expand(word, env)) } : {}),
    ...(container.args?.length ? { args: container.args.map((word) => expand(word, env)) } : {}),
    workingDirectory: container.workingDir ?? "",
    env: Object.entries(env).map(([name, value]) => ({ name, value })),
    mounts: [...(await mountsOf(context, plan, env)), ...files],
    devices: [],
    resources,
    security: securityOf(plan, context.node),
    tty: container.tty === true,
    stdin: container.stdin === true,
    stdinOnce: container.stdinOnce === true,
    logPath: `${container.name}/${attempt}.log`,
    ...(plan.targetContainerId ? { targetContainerId: plan.targetContainerId } : {}),
    labels: {},
    annotations: { [hashAnnotation]: containerHash(container), [resourcesAnnotation]: resourcesText(pod, container) },
  };
}

const propagations: Record<string, MountSpec["propagation"]> = {
  None: "private",
  HostToContainer: "hostToContainer",
  Bidirectional: "bidirectional",
};

async function mountsOf(context: PodsContext, plan: ContainerPlan, env: Record<string, string>): Promise<MountSpec[]> {
  const mounts: MountSpec[] = [];
  for (const [index, mount] of (plan.container.volumeMounts ?? []).entries()) {
    const volume = plan.volumes[mount.name];
    if (!volume) {
      throw new StartError(
        "CreateContainerConfigError",
        `cannot find volume "${mount.name}" to mount into container "${plan.container.name}"`,
      );
    }
    const subPath = mount.subPath || expandStrict(mount.subPathExpr ?? "", env);
    mounts.push({
      hostPath: subPath === "" ? volume.path : await subPathOf(context, plan, { mount, index, volume, subPath }),
      containerPath: mount.mountPath.startsWith("/") ? mount.mountPath : `/${mount.mountPath}`,
      readOnly: mount.readOnly === true || volume.readOnly,
      recursiveReadOnly: await isRecursiveReadOnly(context, mount),
      propagation: propagations[mount.mountPropagation ?? "None"] ?? "private",
    });
  }
  return mounts;
}

/** Throws StartError where the runtime cannot do what the mount requires (upstream's resolveRecursiveReadOnly). */
async function isRecursiveReadOnly({ runtime }: PodsContext, mount: VolumeMount): Promise<boolean> {
  const { name, recursiveReadOnly = "Disabled" } = mount;
  if (recursiveReadOnly === "Disabled") return false;
  const { features } = await runtime.info();
  if (features.recursiveReadOnlyMounts || recursiveReadOnly === "IfPossible") return features.recursiveReadOnlyMounts;
  const text = `volume "${name}" requested recursive read-only mode, but it is not supported by the runtime`;
  throw new StartError("CreateContainerConfigError", `failed to resolve recursive read-only mode: ${text}`);
}

interface SubPathMount {
  mount: VolumeMount;
  index: number;
  volume: Mounted;
  subPath: string;
}

async function subPathOf(
  { volumes, log }: PodsContext,
  { pod, container }: ContainerPlan,
  { mount, index, volume, subPath }: SubPathMount,
): Promise<string> {
  const refuse = (text: string): never => {
    throw new StartError("CreateContainerConfigError", text);
  };
  // A path that is the expansion of variables has not been validated.
  if (subPath.startsWith("/")) refuse(`error SubPath \`${subPath}\` must not be an absolute path`);
  if (subPath.split("/").includes("..")) refuse(`unable to provision SubPath \`${subPath}\`: must not contain '..'`);
  const { uid = "", namespace, name } = pod.metadata;
  const place = { uid, name: mount.name, volume: volume.path, subPath, container: container.name, index };
  try {
    return await volumes.subPath(place);
  } catch (error) {
    // The details would show the user what the host's file system has (upstream's makeMounts).
    log.warn("a subPath could not be prepared", { namespace, pod: name, volume: mount.name, error: messageOf(error) });
    const text = `failed to prepare subPath for volumeMount "${mount.name}" of container "${container.name}"`;
    throw new StartError("CreateContainerConfigError", text, { cause: error });
  }
}

function expandStrict(text: string, env: Record<string, string>): string {
  const missing = /\$\(([^)]*)\)/.exec(expand(text, env));
  if (!missing) return expand(text, env);
  throw new StartError("CreateContainerConfigError", `missing value for "${missing[1]}"`);
}

/** The file of a container's termination message; undefined where pods have no folders. */
export function terminationFile(
  context: PodsContext,
  pod: Pod,
  { name, attempt }: { name: string; attempt: number },
): string | undefined {
  const folder = context.volumes.podFolder(pod.metadata.uid ?? "");
  return folder === undefined ? undefined : join(folder, "containers", name, `${attempt}.message`);
}

/** The mounts of /etc/hosts, unless a volume is mounted there, and of the termination message's file. */
async function hostFiles(
  context: PodsContext,
  { pod, container, attempt, podIPs }: ContainerPlan,
): Promise<MountSpec[]> {
  const folder = context.volumes.podFolder(pod.metadata.uid ?? "");
  if (folder === undefined) return [];
  await mkdir(folder, { recursive: true });
  const mounts: MountSpec[] = [];
  const add = (hostPath: string, containerPath: string): void => {
    mounts.push({ hostPath, containerPath, readOnly: false, recursiveReadOnly: false, propagation: "private" });
  };
  const isMounted = (path: string): boolean =>
    (container.volumeMounts ?? []).some(({ mountPath }) => mountPath === path);
  if (!isMounted("/etc/hosts")) {
    const path = join(folder, "etc-hosts");
    const content = pod.spec?.hostNetwork
      ? hostNetworkHosts(pod, await readFile("/etc/hosts", "utf8").catch(() => ""))
      : hostsFile(pod, podIPs, context.node.dns?.domain);
    await writeFile(path, content, { mode: 0o644 });
    await chmod(path, 0o644);
    add(path, "/etc/hosts");
  }
  const { terminationMessagePath = "/dev/termination-log" } = container;
  const path = terminationFile(context, pod, { name: container.name, attempt });
  if (terminationMessagePath !== "" && path !== undefined) {
    await mkdir(join(path, ".."), { recursive: true });
    await (await open(path, "a", 0o666)).close();
    await chmod(path, 0o666);
    add(path, terminationMessagePath);
  }
  return mounts;
}

/**
 * The container's security context over the pod's. Throws StartError when a non-root policy forbids the image's user.
 */
function securityOf({ pod, container, image }: ContainerPlan, node: NodeFacts): SecuritySpec {
  const shared = pod.spec?.securityContext ?? {};
  const own = container.securityContext ?? {};
  const runAsUser = own.runAsUser ?? shared.runAsUser;
  const runAsGroup = own.runAsGroup ?? shared.runAsGroup;
  if (own.runAsNonRoot ?? shared.runAsNonRoot) checkNonRoot({ pod, container, image }, runAsUser);
  const seLinux = own.seLinuxOptions ?? shared.seLinuxOptions;
  const seccomp = own.seccompProfile ?? shared.seccompProfile;
  const appArmor = own.appArmorProfile ?? shared.appArmorProfile;
  const groups = [...(shared.supplementalGroups ?? []), ...(shared.fsGroup === undefined ? [] : [shared.fsGroup])];
  const user: Partial<SecuritySpec> =
    runAsUser !== undefined
      ? { runAsUser: Number(runAsUser) }
      : image.user && "uid" in image.user
        ? { runAsUser: image.user.uid }
        : image.user
          ? { runAsUserName: image.user.name }
          : {};
  return {
    ...defaultSecurity(),
    privileged: own.privileged === true,
    ...user,
    // The runtime accepts a group only together with a user.
    ...(runAsGroup === undefined ? {} : { runAsUser: Number(runAsUser ?? 0), runAsGroup: Number(runAsGroup) }),
    supplementalGroups: groups.map(Number),
    supplementalGroupsPolicy: shared.supplementalGroupsPolicy === "Strict" ? "Strict" : "Merge",
    readOnlyRootFilesystem: own.readOnlyRootFilesystem === true,
    noNewPrivileges: own.allowPrivilegeEscalation === false,
    addCapabilities: own.capabilities?.add ?? [],
    dropCapabilities: own.capabilities?.drop ?? [],
    ...(own.procMount === "Unmasked" ? { maskedPaths: [], readOnlyPaths: [] } : {}),
    ...(own.privileged ? { seccomp: { type: "Unconfined" } } : seccomp ? { seccomp: seccompOf(seccomp, node) } : {}),
    ...(appArmor ? { appArmor: profileOf(appArmor) } : {}),
    ...(seLinux
      ? {
          seLinux: {
            user: seLinux.user ?? "",
            role: seLinux.role ?? "",
            type: seLinux.type ?? "",
            level: seLinux.level ?? "",
          },
        }
      : {}),
  };
}

function checkNonRoot(
  { pod, container, image }: Pick<ContainerPlan, "pod" | "container" | "image">,
  runAsUser: number | undefined,
): void {
  const where = `(pod: "${podLabel(pod)}", container: ${container.name})`;
  const refuse = (why: string): never => {
    throw new StartError("CreateContainerConfigError", `${why} ${where}`);
  };
  if (runAsUser !== undefined) {
    if (Number(runAsUser) === 0) refuse("container's runAsUser breaks non-root policy");
    return;
  }
  if (!image.user || ("uid" in image.user && image.user.uid === 0)) {
    refuse("container has runAsNonRoot and image will run as root");
  } else if ("name" in image.user) {
    refuse(
      `container has runAsNonRoot and image has non-numeric user (${image.user.name}), cannot verify user is non-root`,
    );
  }
}

import type { Image, RuntimeInfo } from "#agent/runtime";
import type { NodeCondition, NodeStatus } from "#api";
import type { HostFacts } from "./facts.ts";

export interface StatusInput {
  name: string;
  facts: HostFacts;
  /** Undefined while the runtime does not answer; then `runtimeError` says why. */
  info: RuntimeInfo | undefined;
  runtimeError: string;
  images: Image[];
  /** Absent where another component reports it. */
  network?: { ok: boolean; message: string } | undefined;
  /** The most pods that it accepts. */
  pods: number;
  version: string;
  /** The kubelet's port, for clients that expect one. */
  port: number;
}

/** Reserved for the system; less available memory is memory pressure. */
const reservedMemoryBytes = 100 * 2 ** 20;
/** A smaller share of free disk is disk pressure. */
const leastFreeDisk = 0.05;
const shownImages = 50;

const kibi = (bytes: number): string => `${Math.floor(bytes / 1024)}Ki`;

/** A node's status, without the times of its conditions. */
export function nodeStatus(input: StatusInput): NodeStatus {
  const { facts, info } = input;
  const common = { cpu: String(facts.cpus), pods: String(input.pods), "hugepages-1Gi": "0", "hugepages-2Mi": "0" };
  const disk = { "ephemeral-storage": kibi(facts.disk.bytes) };
  return {
    capacity: { ...common, ...disk, memory: kibi(facts.memoryBytes) },
    allocatable: { ...common, ...disk, memory: kibi(facts.memoryBytes - reservedMemoryBytes) },
    conditions: conditions(input),
    addresses: [
      ...facts.ips.map((address) => ({ type: "InternalIP", address })),
      { type: "Hostname", address: input.name },
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: input.port } },
    nodeInfo: {
      machineID: facts.machineId,
      systemUUID: facts.systemUuid || facts.machineId,
      bootID: facts.bootId,
      kernelVersion: facts.kernelVersion,
      osImage: facts.osImage,
      containerRuntimeVersion: info ? `${info.name}://${info.version}` : "",
      kubeletVersion: input.version,
      // Deprecated, and set for clients that require the field.
      kubeProxyVersion: "",
      operatingSystem: facts.operatingSystem,
      architecture: facts.architecture,
    },
    images: [...input.images]
      .filter(({ tags, digests }) => tags.length + digests.length > 0)
      .sort((a, b) => b.size - a.size)
      .slice(0, shownImages)
      .map(({ tags, digests, size }) => ({ names: [...digests, ...tags], sizeBytes: size })),
  } as NodeStatus;
}

/** Reason and message of a condition by its status. */
interface ConditionTexts {
  true: [string, string];
  false: [string, string];
}

function conditions({ facts, info, runtimeError, network: pods }: StatusInput): NodeCondition[] {
  const shortMemory = facts.memoryAvailableBytes < reservedMemoryBytes;
  const shortDisk = facts.disk.freeBytes < facts.disk.bytes * leastFreeDisk;
  const condition = (type: string, isTrue: boolean, texts: ConditionTexts): NodeCondition => {
    const [reason, message] = isTrue ? texts.true : texts.false;
    return { type, status: isTrue ? "True" : "False", reason, message } as NodeCondition;
  };
  const down = info ? info.conditions.filter(({ status }) => !status) : [];
  const network = down.find(({ type }) => type === "NetworkReady");
  const why = !info
    ? `container runtime is down: ${runtimeError}`
    : network
      ? `container runtime network not ready: NetworkReady=false reason:${network.reason} message:${network.message}`
      : down.map(({ type, reason, message }) => `${type}=false reason:${reason} message:${message}`).join(", ");
  const { ok = true, message = "" } = pods ?? {};
  return [
    ...(pods
      ? [condition("NetworkUnavailable", !ok, { true: ["BridgeIsDown", message], false: ["BridgeIsUp", message] })]
      : []),
    condition("MemoryPressure", shortMemory, {
      true: ["KubeletHasInsufficientMemory", "kubelet has insufficient memory available"],
      false: ["KubeletHasSufficientMemory", "kubelet has sufficient memory available"],
    }),
    condition("DiskPressure", shortDisk, {
      true: ["KubeletHasDiskPressure", "kubelet has disk pressure"],
      false: ["KubeletHasNoDiskPressure", "kubelet has no disk pressure"],
    }),
    condition("PIDPressure", false, {
      true: ["", ""],
      false: ["KubeletHasSufficientPID", "kubelet has sufficient PID available"],
    }),
    condition("Ready", why === "", {
      true: ["KubeletReady", "kubelet is posting ready status"],
      false: ["KubeletNotReady", why],
    }),
  ];
}

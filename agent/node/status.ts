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
  network?: { ok: boolean; message: string };
  /** How many pods it takes. */
  pods: number;
  version: string;
  /** The kubelet's own port, for clients that look for one. */
  port: number;
}

/** Left for the system: below it memory counts as short. */
const reservedMemory = 100 * 2 ** 20;
/** Below this share of free disk the node is under pressure. */
const leastFreeDisk = 0.05;
const shownImages = 50;

const kibi = (bytes: number): string => `${Math.floor(bytes / 1024)}Ki`;

/** A node's status but for the times of its conditions. */
export function nodeStatus(input: StatusInput): NodeStatus {
  const { facts, info } = input;
  const common = { cpu: String(facts.cpus), pods: String(input.pods), "hugepages-1Gi": "0", "hugepages-2Mi": "0" };
  const disk = { "ephemeral-storage": kibi(facts.disk.bytes) };
  return {
    capacity: { ...common, ...disk, memory: kibi(facts.memoryBytes) },
    allocatable: { ...common, ...disk, memory: kibi(facts.memoryBytes - reservedMemory) },
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
      // Deprecated, and set all the same: some clients insist on the field.
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

function conditions({ facts, info, runtimeError, network: pods }: StatusInput): NodeCondition[] {
  const shortMemory = facts.memoryAvailableBytes < reservedMemory;
  const shortDisk = facts.disk.freeBytes < facts.disk.bytes * leastFreeDisk;
  const say = (type: string, is: boolean, yes: [string, string], no: [string, string]): NodeCondition => {
    const [reason, message] = is ? yes : no;
    return { type, status: is ? "True" : "False", reason, message } as NodeCondition;
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
    ...(pods ? [say("NetworkUnavailable", !ok, ["BridgeIsDown", message], ["BridgeIsUp", message])] : []),
    say(
      "MemoryPressure",
      shortMemory,
      ["KubeletHasInsufficientMemory", "kubelet has insufficient memory available"],
      ["KubeletHasSufficientMemory", "kubelet has sufficient memory available"],
    ),
    say(
      "DiskPressure",
      shortDisk,
      ["KubeletHasDiskPressure", "kubelet has disk pressure"],
      ["KubeletHasNoDiskPressure", "kubelet has no disk pressure"],
    ),
    say("PIDPressure", false, ["", ""], ["KubeletHasSufficientPID", "kubelet has sufficient PID available"]),
    say("Ready", why === "", ["KubeletReady", "kubelet is posting ready status"], ["KubeletNotReady", why]),
  ];
}

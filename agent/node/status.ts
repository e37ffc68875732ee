import type { Image, RuntimeInfo } from "#agent/runtime";
import type { NodeCondition, NodeStatus } from "#api";
import { amountsOf, type Held } from "./allocatable.ts";
import type { HostFacts } from "./facts.ts";

export interface StatusInput {
  name: string;
  facts: HostFacts;
  /** Undefined while the runtime does not answer; then `runtimeError` says why. */
  info: RuntimeInfo | undefined;
  runtimeError: string;
  images: Image[];
  /** What the node is short of. */
  pressures: ReadonlySet<string>;
  /** Absent where another component reports it. */
  network?: { ok: boolean; message: string } | undefined;
  /** The most pods that it accepts. */
  pods: number;
  /** What pods may not request. */
  held: Held;
  shutsDown: boolean;
  version: string;
  /** The kubelet's port, for clients that expect one. */
  port: number;
}

const shownImages = 50;

/**
 * Features that need the node's part, sorted: pods that use them are scheduled to nodes that declare them (upstream's
 * nodedeclaredfeatures).
 */
const declaredFeatures = [
  "InPlacePodLevelResourcesVerticalScaling",
  "InPlacePodVerticalScalingInitContainers",
  "RestartAllContainersOnContainerExits",
];

/** A node's status, without the times of its conditions. */
export function nodeStatus(input: StatusInput): NodeStatus {
  const { facts, info } = input;
  const { capacity, allocatable } = amountsOf(facts, input.held, input.pods);
  return {
    capacity,
    allocatable,
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
    declaredFeatures,
    ...(info ? { features: { supplementalGroupsPolicy: info.features.strictGroups } } : {}),
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

function conditions({ pressures, info, runtimeError, network: pods, shutsDown }: StatusInput): NodeCondition[] {
  const condition = (type: string, isTrue: boolean, texts: ConditionTexts): NodeCondition => {
    const [reason, message] = isTrue ? texts.true : texts.false;
    return { type, status: isTrue ? "True" : "False", reason, message } as NodeCondition;
  };
  const down = info ? info.conditions.filter(({ status }) => !status) : [];
  const network = down.find(({ type }) => type === "NetworkReady");
  const why = shutsDown
    ? "node is shutting down"
    : !info
      ? `container runtime is down: ${runtimeError}`
      : network
        ? `container runtime network not ready: NetworkReady=false reason:${network.reason} message:${network.message}`
        : down.map(({ type, reason, message }) => `${type}=false reason:${reason} message:${message}`).join(", ");
  const { ok = true, message = "" } = pods ?? {};
  return [
    ...(pods
      ? [condition("NetworkUnavailable", !ok, { true: ["BridgeIsDown", message], false: ["BridgeIsUp", message] })]
      : []),
    condition("MemoryPressure", pressures.has("MemoryPressure"), {
      true: ["KubeletHasInsufficientMemory", "kubelet has insufficient memory available"],
      false: ["KubeletHasSufficientMemory", "kubelet has sufficient memory available"],
    }),
    condition("DiskPressure", pressures.has("DiskPressure"), {
      true: ["KubeletHasDiskPressure", "kubelet has disk pressure"],
      false: ["KubeletHasNoDiskPressure", "kubelet has no disk pressure"],
    }),
    condition("PIDPressure", pressures.has("PIDPressure"), {
      true: ["KubeletHasInsufficientPID", "kubelet has insufficient PID available"],
      false: ["KubeletHasSufficientPID", "kubelet has sufficient PID available"],
    }),
    condition("Ready", why === "", {
      true: ["KubeletReady", "kubelet is posting ready status"],
      false: ["KubeletNotReady", why],
    }),
  ];
}

import { type Node, nodes, type Pod, pods, serviceAccounts } from "#api";
import type { ApiResponse } from "#apiserver";
import { newRingText, ringKeys, tokenAuthority } from "#auth/service-account";
import { type Clock, formatTime, silentLog, systemClock, systemRandom } from "#base";
import type { Client } from "#client";
import type { Cloud } from "#cloud";
import { type ControlPlane, controlPlane } from "#controlplane";
import { memoryStore } from "#store/memory";

export interface TestCluster {
  plane: ControlPlane;
  client: Client;
  /** Sends a request as the administrator; the answer's body is parsed when it is JSON. */
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** Registers a node that is ready and has room. */
  addNode(name: string, more?: Partial<Node>): Promise<Node>;
  /** Plays the agent: marks every pod that has a node as running and ready, and lets those that are deleted go. */
  playAgents(): Promise<void>;
  /** Waits until controllers and scheduler have nothing at hand, timers aside; throws after 10 s. */
  quiet(): Promise<void>;
  /** Waits until a condition holds; throws after `seconds` with what was last seen. */
  until<T>(what: () => Promise<T | undefined | false>, seconds?: number): Promise<T>;
  close(): Promise<void>;
}

export interface Answer {
  status: number;
  headers: ApiResponse["headers"];
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into
  json: any;
  body: ApiResponse["body"];
}

export interface TestClusterOptions {
  /** Real time unless told. */
  clock?: Clock;
  /** What an earlier control plane left behind. */
  store?: ReturnType<typeof memoryStore>;
  /** The API alone: neither controllers nor the scheduler run, as if they had died. */
  asleep?: true;
  /** Nodes are given parts of it. */
  podCidr?: string;
  cloud?: Cloud;
}

/** Starts a control plane with all its controllers and the scheduler; `default` has its service account. */
export async function openCluster({
  clock = systemClock,
  store = memoryStore(),
  asleep,
  podCidr,
  cloud,
}: TestClusterOptions = {}): Promise<TestCluster> {
  const plane = controlPlane({
    store,
    clock,
    random: systemRandom,
    log: silentLog,
    serviceCidr: "10.96.0.0/16",
    ca: "-----BEGIN CERTIFICATE-----\n",
    caching: "live",
    tokens: (own) =>
      tokenAuthority({
        keys: ringKeys({ read: async () => (ring ??= newRingText(0)), clock, maxAge: Number.POSITIVE_INFINITY }),
        issuer: testIssuer,
        client: own,
        clock,
        random: systemRandom,
      }),
    ...(podCidr === undefined ? {} : { podCidr }),
    ...(cloud ? { cloud } : {}),
  });
  if (!asleep) await plane.start();
  const { client } = plane;
  const until: TestCluster["until"] = async (what, seconds = 10) => {
    const end = Date.now() + seconds * 1000;
    for (;;) {
      const found = await what();
      if (found) return found;
      if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
      await pause(10);
    }
  };
  const quiet = async () => {
    const end = Date.now() + 10_000;
    for (let calm = 0; calm < 5; ) {
      if (Date.now() > end) throw new Error("controllers and scheduler do not come to rest");
      await pause(5);
      calm = plane.busy === 0 ? calm + 1 : 0;
    }
  };
  if (!asleep) await until(async () => (await client.list(serviceAccounts, { namespace: "default" })).items[0]);
  return {
    plane,
    client,
    until,
    ask: (method, path, body, headers = {}) => ask(plane, method, path, body, headers),
    quiet,
    addNode: (name, more) => client.create(nodes, readyNode(name, clock.now(), more)),
    playAgents: () => playAgents(client, clock),
    close: () => plane.stop(),
  };
}

export const testIssuer = "https://kubernetes.default.svc.cluster.local";
/** One key for all clusters of a process: making one takes a while. */
let ring: string | undefined;

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function readyNode(name: string, time: number, more: Partial<Node> = {}): Node {
  const now = formatTime(time);
  const room = { cpu: "4", memory: "8Gi", pods: "110" };
  return {
    metadata: { name, labels: { "kubernetes.io/hostname": name }, ...more.metadata },
    spec: { ...more.spec },
    status: {
      capacity: room,
      allocatable: room,
      conditions: [
        { type: "Ready", status: "True", reason: "KubeletReady", lastHeartbeatTime: now, lastTransitionTime: now },
      ],
      ...more.status,
    },
  } as Node;
}

let address = 0;

export async function playAgents(client: Client, clock: Clock): Promise<void> {
  const { items } = await client.list(pods);
  for (const pod of items.filter(({ spec }) => spec?.nodeName)) {
    const { namespace, name = "", uid } = pod.metadata;
    try {
      if (pod.metadata.deletionTimestamp)
        await client.remove(pods, { namespace, name }, { uid, gracePeriodSeconds: 0 });
      else if (pod.status?.phase === "Pending")
        await client.update(pods, running(pod, clock), { subresource: "status" });
    } catch {
      // Somebody else was faster: the next round sees how it stands.
    }
  }
}

function running(pod: Pod, clock: Clock): Pod {
  const now = formatTime(clock.now());
  const podIP = `10.244.${Math.floor(address / 250)}.${(address++ % 250) + 2}`;
  const condition = (type: string) => ({ type, status: "True", lastTransitionTime: now });
  return {
    ...pod,
    status: {
      ...pod.status,
      phase: "Running",
      podIP,
      podIPs: [{ ip: podIP }],
      startTime: now,
      conditions: [
        ...(pod.status?.conditions ?? []).filter(({ type }) => type === "PodScheduled"),
        ...["Initialized", "Ready", "ContainersReady"].map(condition),
      ],
      containerStatuses: (pod.spec?.containers ?? []).map(({ name, image }) => ({
        name,
        image: image ?? "",
        imageID: "",
        ready: true,
        started: true,
        restartCount: 0,
        state: { running: { startedAt: now } },
      })),
    },
  } as Pod;
}

async function ask(
  plane: ControlPlane,
  method: string,
  path: string,
  body: unknown,
  headers: Record<string, string>,
): Promise<Answer> {
  const [where = "", query] = path.split("?");
  const text = body === undefined ? "" : typeof body === "string" ? body : JSON.stringify(body);
  const response = await plane.server.handle({
    method,
    path: where,
    query: new URLSearchParams(query),
    headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
    body: async () => new TextEncoder().encode(text),
    signal: new AbortController().signal,
    peer: { certificate: { commonName: "kubernetes-admin", organizations: ["system:masters"] } },
  });
  const read = response.body instanceof Uint8Array ? new TextDecoder().decode(response.body) : "";
  return { ...response, json: /^[[{]/.test(read) ? JSON.parse(read) : read };
}

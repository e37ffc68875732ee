import { expect } from "vitest";
import { type Node, nodes, serviceAccounts } from "#api";
import type { ApiResponse } from "#apiserver";
import { newRingText, ringKeys, tokenAuthority } from "#auth/service-account";
import { type Random, silentLog } from "#base";
import type { Client } from "#client";
import type { Cloud } from "#cloud";
import { ControlPlane, type ControlPlaneOptions } from "#controlplane";
import type { Store } from "#store";
import { memoryStore } from "#store/memory";
import { Dice, type HandClock, handClock } from "#test/make";
import { playAgents, readyNode } from "./agents.ts";
import { slowStore } from "./store.ts";
import { VirtualTime } from "./virtual-time.ts";

export interface TestCluster {
  plane: ControlPlane;
  client: Client;
  /** The time of the whole cluster; only `until`, `pass` and tests move it. */
  clock: HandClock;
  /** Decides the order of concurrent calls; the same seed yields the same history. */
  seed: number;
  /** Sends a request as the administrator; the answer's body is parsed when it is JSON. */
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** Registers a node that is ready and has room. */
  addNode(name: string, more?: Partial<Node>): Promise<Node>;
  /** Acts as the nodes' agents: marks bound pods as running and ready, and removes those that are being deleted. */
  playAgents(): Promise<void>;
  /** Resolves when controllers and scheduler have nothing left to do until the next timer. */
  quiet(): Promise<void>;
  /** Moves the clock by so many milliseconds, and waits for quiet after each timer. */
  pass(milliseconds: number): Promise<void>;
  /**
   * Resolves with the first result that is neither false nor undefined; checks after every turn of the event loop.
   * NotFound counts as undefined. While nothing else is left to do, the clock moves to the next timer. Rejects with the
   * last reads when the condition does not hold after `seconds` of the cluster's time. Default: 10.
   */
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
  /** Default: a clock that starts in 2030. */
  clock?: HandClock;
  /** The store of an earlier control plane. Default: an empty one. */
  store?: Store;
  /** Default: SKIFF_SEED or 1, and one more for each cluster that the test file has opened. */
  seed?: number;
  /** The API alone: neither controllers nor the scheduler run. */
  asleep?: true;
  /** The CIDR from which nodes get blocks. */
  podCidr?: string;
  cloud?: Cloud;
  /** Issues certificates for approved requests. */
  sign?: ControlPlaneOptions["sign"];
  /** Issues the certificates by which nodes serve the API inside pods. */
  signApiServing?: ControlPlaneOptions["signApiServing"];
  /** The certificate authority for pods. */
  ca?: ControlPlaneOptions["ca"];
}

/** How many clusters each test file has opened: files share their modules. */
const opened = new Map<string | undefined, number>();

function nextSeed(): number {
  const { testPath } = expect.getState();
  const before = opened.get(testPath) ?? 0;
  opened.set(testPath, before + 1);
  return Number(process.env["SKIFF_SEED"] ?? 1) + before;
}

/** Starts a control plane with all its controllers and the scheduler; `default` has its service account. */
export async function openCluster({
  clock = handClock(Date.parse("2030-01-01T00:00:00Z")),
  store = memoryStore(),
  seed = nextSeed(),
  asleep,
  podCidr,
  cloud,
  sign,
  signApiServing,
  ca = "-----BEGIN CERTIFICATE-----\n",
}: TestClusterOptions = {}): Promise<TestCluster> {
  const dice = new Dice(seed);
  const random: Random = {
    bytes: (length) => Uint8Array.from({ length }, () => dice.below(256)),
    fraction: () => dice.fraction(),
  };
  // Without controllers there are no concurrent calls to reorder.
  const slow = slowStore(store, asleep ? undefined : dice);
  const plane = new ControlPlane({
    store: slow,
    clock,
    random,
    log: silentLog,
    serviceCidr: "10.96.0.0/16",
    ca,
    caching: "live",
    bootstrapTokens: true,
    tokens: (own) =>
      tokenAuthority({
        keys: ringKeys({ read: async () => (ring ??= newRingText(0)), clock, maxAge: Number.POSITIVE_INFINITY }),
        issuer: testIssuer,
        client: own,
        clock,
        random,
      }),
    ...(podCidr === undefined ? {} : { podCidr }),
    ...(cloud ? { cloud } : {}),
    ...(sign ? { sign } : {}),
    ...(signApiServing ? { signApiServing } : {}),
  });
  const time = new VirtualTime({ clock, store: slow, seed, busy: () => plane.busy });
  if (!asleep) await plane.start();
  const client = time.reads.through(plane.client);
  if (!asleep) await time.until(async () => (await client.list(serviceAccounts, { namespace: "default" })).items[0]);
  return {
    plane,
    client,
    clock,
    seed,
    until: (what, seconds) => time.until(what, seconds),
    quiet: () => time.quiet(),
    pass: (milliseconds) => time.pass(milliseconds),
    ask: async (method, path, body, headers = {}) => {
      const answer = await ask(plane, method, path, body, headers);
      time.reads.record(`${method} ${path}`, answer.json);
      return answer;
    },
    addNode: (name, more) => client.create(nodes, readyNode(name, clock.now(), more)),
    playAgents: () => playAgents(client, clock),
    close: () => plane.stop(),
  };
}

export const testIssuer = "https://kubernetes.default.svc.cluster.local";
/** One key for all clusters of a process, since generating one takes long. */
let ring: string | undefined;

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

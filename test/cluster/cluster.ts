import { expect } from "vitest";
import { type Node, nodes, serviceAccounts } from "#api";
import type { ApiResponse } from "#apiserver";
import { newRingText, ringKeys, tokenAuthority } from "#auth/service-account";
import { type Random, silentLog } from "#base";
import type { Client } from "#client";
import type { Cloud } from "#cloud";
import { ControlPlane } from "#controlplane";
import type { Store } from "#store";
import { memoryStore } from "#store/memory";
import { Dice, type HandClock, handClock } from "#test/make";
import { playAgents, readyNode } from "./agents.ts";
import { Course } from "./course.ts";
import { slowStore } from "./store.ts";

export interface TestCluster {
  plane: ControlPlane;
  client: Client;
  /** The time of everything in the cluster; only `until`, `pass` and tests move it. */
  clock: HandClock;
  /** Decides the order of what happens at once; the same seed makes the same history. */
  seed: number;
  /** Sends a request as the administrator; the answer's body is parsed when it is JSON. */
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** Registers a node that is ready and has room. */
  addNode(name: string, more?: Partial<Node>): Promise<Node>;
  /** Plays the agent: marks every pod that has a node as running and ready, and lets those that are deleted go. */
  playAgents(): Promise<void>;
  /** Resolves when controllers and scheduler have nothing at hand, timers aside. */
  quiet(): Promise<void>;
  /** Lets so many milliseconds pass, and all come to rest after each timer. */
  pass(milliseconds: number): Promise<void>;
  /**
   * Resolves with the first result that is neither false nor undefined; looks after every turn of the event loop. What is
   * not found counts as undefined. While nothing else is left to do the clock moves to the next timer. Rejects with what
   * was last seen when the condition does not hold after `seconds` of the cluster's time, default 10.
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
  /** Default: one that starts in 2030. */
  clock?: HandClock;
  /** What an earlier control plane left behind. */
  store?: Store;
  /** Default: SKIFF_SEED or 1, and one more for each cluster that the test file has opened. */
  seed?: number;
  /** The API alone: neither controllers nor the scheduler run, as if they had died. */
  asleep?: true;
  /** Nodes are given parts of it. */
  podCidr?: string;
  cloud?: Cloud;
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
}: TestClusterOptions = {}): Promise<TestCluster> {
  const dice = new Dice(seed);
  const random: Random = {
    bytes: (length) => Uint8Array.from({ length }, () => dice.below(256)),
    fraction: () => dice.fraction(),
  };
  // Where nothing works beside the test, nothing overtakes it.
  const slow = slowStore(store, asleep ? undefined : dice);
  const plane = new ControlPlane({
    store: slow,
    clock,
    random,
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
        random,
      }),
    ...(podCidr === undefined ? {} : { podCidr }),
    ...(cloud ? { cloud } : {}),
  });
  const course = new Course({ clock, store: slow, seed, busy: () => plane.busy });
  if (!asleep) await plane.start();
  const client = course.sight.through(plane.client);
  if (!asleep) await course.until(async () => (await client.list(serviceAccounts, { namespace: "default" })).items[0]);
  return {
    plane,
    client,
    clock,
    seed,
    until: (what, seconds) => course.until(what, seconds),
    quiet: () => course.quiet(),
    pass: (milliseconds) => course.pass(milliseconds),
    ask: async (method, path, body, headers = {}) => {
      const answer = await ask(plane, method, path, body, headers);
      course.sight.note(`${method} ${path}`, answer.json);
      return answer;
    },
    addNode: (name, more) => client.create(nodes, readyNode(name, clock.now(), more)),
    playAgents: () => playAgents(client, clock),
    close: () => plane.stop(),
  };
}

export const testIssuer = "https://kubernetes.default.svc.cluster.local";
/** One key for all clusters of a process: making one takes a while. */
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

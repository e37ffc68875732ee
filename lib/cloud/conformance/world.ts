import { type Balanced, type Cloud, type LoadBalancer, Refused } from "#cloud";

/** What goes wrong with one call below the port: of a service of the cloud, or of the fake itself. */
export type Fault =
  /** The process dies before the call is carried out, or after: everything that it asks later fails as well. */
  | "dead before"
  | "dead after"
  /** The cloud is too busy for this call. */
  | "throttled"
  /** It was carried out, and the answer never came. */
  | "lost";

/** A load balancer as it stands in the cloud. */
export interface Seen {
  uid: string;
  ports: { protocol: string; port: number; nodePort: number; nodes: string[] }[];
  sourceRanges: string[];
}

/** A cloud under test, and what is done to it from outside. */
export interface World {
  cloud: Cloud;
  /** A new instance of the cluster; its node's name. */
  addInstance(): Promise<string>;
  removeInstance(node: string): Promise<void>;
  /** Time passes: what was begun is done. */
  settle(): Promise<void>;
  /** The load balancers that could serve, whole. */
  balancers(): Promise<Seen[]>;
  /** Everything of the cluster's load balancers that is there, half-made or whole, in words. */
  things(): Promise<string[]>;
  /** The call of this number from now on, counted from 1, fails. */
  arm(call: number, fault: Fault): void;
  /** The next process: nothing fails any more. Resolves with whether the fault has struck. */
  revive(): Promise<boolean>;
  close(): Promise<void>;
}

export interface Bench {
  open(): Promise<World>;
  /** Below the pod addresses; blocks of the contract are `10.244.x.0/24`. */
  podCidr: "10.244.0.0/16";
}

export const web = (nodes: readonly string[], more: Partial<LoadBalancer> = {}): LoadBalancer => ({
  service: { uid: "0a5bb1d1-6d4c-4b6f-9a53-6e0f0a9c1d11", namespace: "shop", name: "web" },
  ports: [
    { protocol: "TCP", port: 80, nodePort: 30080 },
    { protocol: "TCP", port: 443, nodePort: 30443 },
  ],
  nodes,
  sourceRanges: ["0.0.0.0/0"],
  affinity: false,
  annotations: {},
  ...more,
});

/** How a load balancer stands when it is as wanted. */
export const seen = ({ service, ports, nodes, sourceRanges }: LoadBalancer): Seen => ({
  uid: service.uid,
  ports: ports.map((port) => ({ ...port, nodes: [...nodes].sort() })),
  sourceRanges: [...sourceRanges],
});

/** In an order that does not depend on the cloud's. */
export const inOrder = (all: readonly Seen[]): Seen[] =>
  all
    .map((one) => ({
      ...one,
      sourceRanges: [...one.sourceRanges].sort(),
      ports: one.ports
        .map((port) => ({ ...port, nodes: [...port.nodes].sort() }))
        .sort((a, b) => a.port - b.port || a.protocol.localeCompare(b.protocol)),
    }))
    .sort((a, b) => a.uid.localeCompare(b.uid));

const patience = 40;

/** Asks again, as a controller does, with time between; an answer that says that it is not done is no answer yet. */
export async function persist<T>(world: World, ask: () => Promise<T>, isDone: (answer: T) => boolean): Promise<T> {
  let last: unknown;
  for (let turn = 0; turn < patience; turn++) {
    try {
      const answer = await ask();
      if (isDone(answer)) return answer;
      last = answer;
    } catch (error) {
      if (error instanceof Refused) throw error;
      last = error;
    }
    await world.settle();
  }
  throw new Error("it never came to an end", { cause: last });
}

export const balance = (world: World, wanted: LoadBalancer): Promise<Balanced> =>
  persist(
    world,
    () => world.cloud.ensureLoadBalancer(wanted),
    ({ state }) => state === "active",
  );

export const unbalance = async (world: World, { service: { uid } }: LoadBalancer): Promise<void> => {
  await persist(
    world,
    () => world.cloud.removeLoadBalancer(uid),
    (answer) => answer === "gone",
  );
};

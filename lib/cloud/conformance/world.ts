import { type Cloud, type LoadBalancer, type LoadBalancerStatus, Refused } from "#cloud";

/** A fault of one call below the port: a call of a cloud service, or of the fake itself. */
export type Fault =
  /** The process crashes before the call is executed, or after it: all its later calls fail too. */
  | "dead before"
  | "dead after"
  /** The cloud throttles the call. */
  | "throttled"
  /** The call is executed, and the response is lost. */
  | "lost";

/** A load balancer as it exists in the cloud. */
export interface Seen {
  uid: string;
  ports: { protocol: string; port: number; nodePort: number; nodes: string[] }[];
  sourceRanges: string[];
}

/** A cloud under test, and changes from outside. */
export interface World {
  cloud: Cloud;
  /** Starts an instance of the cluster. Resolves with its node's name. */
  addInstance(): Promise<string>;
  removeInstance(node: string): Promise<void>;
  /** Completes everything that is in progress. */
  settle(): Promise<void>;
  /** The complete load balancers. */
  balancers(): Promise<Seen[]>;
  /** The names of all existing parts of the cluster's load balancers, complete or not. */
  things(): Promise<string[]>;
  /** Makes the `call`th call from now on fail, counted from 1. */
  arm(call: number, fault: Fault): void;
  /** Starts the next process: calls succeed again. Resolves with whether the fault occurred. */
  revive(): Promise<boolean>;
  close(): Promise<void>;
}

export interface Bench {
  open(): Promise<World>;
  /** The pod addresses; the suite uses blocks `10.244.x.0/24`. */
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

/** A load balancer in its desired state. */
export const seen = ({ service, ports, nodes, sourceRanges }: LoadBalancer): Seen => ({
  uid: service.uid,
  ports: ports.map((port) => ({ ...port, nodes: [...nodes].sort() })),
  sourceRanges: [...sourceRanges],
});

/** The load balancers in an order that does not depend on the cloud. */
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

const maxAttempts = 40;

/** Repeats a call until its result is complete, as a controller does, and lets time pass between calls. */
export async function persist<T>(world: World, call: () => Promise<T>, isDone: (result: T) => boolean): Promise<T> {
  let last: unknown;
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    try {
      const result = await call();
      if (isDone(result)) return result;
      last = result;
    } catch (error) {
      if (error instanceof Refused) throw error;
      last = error;
    }
    await world.settle();
  }
  throw new Error("it was not completed", { cause: last });
}

export const balance = (world: World, desired: LoadBalancer): Promise<LoadBalancerStatus> =>
  persist(
    world,
    () => world.cloud.ensureLoadBalancer(desired),
    ({ state }) => state === "active",
  );

export const unbalance = async (world: World, { service: { uid } }: LoadBalancer): Promise<void> => {
  await persist(
    world,
    () => world.cloud.removeLoadBalancer(uid),
    (result) => result === "gone",
  );
};

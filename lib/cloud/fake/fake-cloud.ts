import { type Cloud, type LoadBalancer, Refused, type Route } from "#cloud";

/** A call of the port. */
export interface Call {
  method: keyof Cloud;
  /** Before the work, or after it, when only the response is lost. */
  when: "before" | "after";
}

export interface FakeCloudOptions {
  /** Throws the error with which a call fails. Defaults to no failures. */
  fail?: (call: Call) => void;
  /** Whether the cloud manages routes. Defaults to true. */
  routing?: boolean;
}

type Balancer = LoadBalancer & { state: "active" | "provisioning" | "going" };
type Calls = <T>(method: Call["method"], work: () => T) => Promise<T>;

export interface FakeCloud extends Cloud {
  /** Load balancers by their services' uids. */
  readonly balancers: ReadonlyMap<string, Balancer>;
  addInstance(node: string): void;
  removeInstance(node: string): void;
  /** Completes everything that is in progress. */
  settle(): void;
  /** The number of calls of each method. */
  readonly counts: ReadonlyMap<string, number>;
}

/** A cloud in memory. Load balancers are provisioning, and going, until `settle` is called. */
export function fakeCloud({ fail = () => {}, routing = true }: FakeCloudOptions = {}): FakeCloud {
  const balancers = new Map<string, Balancer>();
  const instances = new Map<string, { forwards: boolean }>();
  const counts = new Map<string, number>();
  const call: Calls = async (method, work) => {
    counts.set(method, (counts.get(method) ?? 0) + 1);
    fail({ method, when: "before" });
    const result = work();
    fail({ method, when: "after" });
    return result;
  };
  return {
    balancers,
    counts,
    addInstance: (node) => void instances.set(node, { forwards: false }),
    removeInstance: (node) => void instances.delete(node),
    settle() {
      for (const [uid, one] of balancers) {
        if (one.state === "going") balancers.delete(uid);
        else one.state = "active";
      }
    },
    instances: (nodes) =>
      call("instances", () =>
        nodes.flatMap((node) => {
          const one = instances.get(node);
          return one ? [{ node, zone: "zone-a", ...one }] : [];
        }),
      ),
    ...balancing(balancers, call),
    ...routesOver({ instances, routing, call }),
  };
}

const balancing = (
  balancers: Map<string, Balancer>,
  call: Calls,
): Pick<Cloud, "ensureLoadBalancer" | "removeLoadBalancer" | "loadBalancers"> => ({
  ensureLoadBalancer: (desired) =>
    call("ensureLoadBalancer", () => {
      const bad = desired.ports.find(({ protocol }) => protocol !== "TCP" && protocol !== "UDP");
      if (bad) throw new Refused(`protocol ${bad.protocol} is not supported`);
      const { uid } = desired.service;
      const old = balancers.get(uid);
      const state = old?.state === "active" ? "active" : "provisioning";
      const changed = old ? differenceOf(old, desired) : "balancer";
      balancers.set(uid, { ...structuredClone(desired), state });
      return { state, ingress: [{ hostname: `${uid}.balancers.test` }], changed } as const;
    }),
  removeLoadBalancer: (uid) =>
    call("removeLoadBalancer", () => {
      const one = balancers.get(uid);
      if (one) one.state = "going";
      return one ? "going" : "gone";
    }),
  loadBalancers: () => call("loadBalancers", () => [...balancers.values()].map(({ service }) => service)),
});

interface Routing {
  instances: Map<string, { forwards: boolean }>;
  routing: boolean;
  call: Calls;
}

function routesOver({ instances, routing, call }: Routing): Pick<Cloud, "routes" | "ensureRoute" | "removeRoute"> {
  const routes = new Map<string, string>();
  return {
    routes: () =>
      call("routes", () =>
        !routing
          ? undefined
          : [...routes].map(([block, node]): Route => {
              const one = instances.get(node);
              return { block, node: one ? node : "", isComplete: one?.forwards === true };
            }),
      ),
    ensureRoute: ({ block, node }) =>
      call("ensureRoute", () => {
        const one = instances.get(node);
        if (!one) throw new Error(`there is no instance ${node}`);
        one.forwards = true;
        routes.set(block, node);
      }),
    removeRoute: ({ block, node }) =>
      call("removeRoute", () => {
        const target = routes.get(block) ?? "";
        if (target === node || !instances.has(target)) routes.delete(block);
      }),
  };
}

function differenceOf(old: LoadBalancer, desired: LoadBalancer): "nothing" | "nodes" | "balancer" {
  const text = ({ service, ports, sourceRanges, healthPort, affinity, annotations }: LoadBalancer): string =>
    JSON.stringify([service.uid, ports, sourceRanges, healthPort, affinity, annotations]);
  if (text(old) !== text(desired)) return "balancer";
  return [...old.nodes].sort().join() === [...desired.nodes].sort().join() ? "nothing" : "nodes";
}

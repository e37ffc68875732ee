import { type Cloud, type LoadBalancer, Refused, type Route } from "#cloud";

/** A call of the port. */
export interface Call {
  method: keyof Cloud;
  /** Before the work, or after it, when only the answer is lost. */
  when: "before" | "after";
}

export interface FakeCloudOptions {
  /** Throws what a call is to fail with. */
  fail?: (call: Call) => void;
  /** Whether routes are made here; yes unless told. */
  routing?: boolean;
}

export interface FakeCloud extends Cloud {
  /** Load balancers by their services' uids. */
  readonly balancers: ReadonlyMap<string, LoadBalancer & { state: "active" | "provisioning" | "going" }>;
  addInstance(node: string): void;
  removeInstance(node: string): void;
  /** Time passes: what was begun is done. */
  settle(): void;
  /** How often each method was called. */
  readonly counts: ReadonlyMap<string, number>;
}

/** Load balancers are provisioning, and going, until `settle` is called. */
export function fakeCloud({ fail = () => {}, routing = true }: FakeCloudOptions = {}): FakeCloud {
  const balancers = new Map<string, LoadBalancer & { state: "active" | "provisioning" | "going" }>();
  const instances = new Map<string, { forwards: boolean }>();
  const routes = new Map<string, string>();
  const counts = new Map<string, number>();
  const calling = async <T>(method: Call["method"], work: () => T): Promise<T> => {
    counts.set(method, (counts.get(method) ?? 0) + 1);
    fail({ method, when: "before" });
    const done = work();
    fail({ method, when: "after" });
    return done;
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
    ensureLoadBalancer: (wanted) =>
      calling("ensureLoadBalancer", () => {
        const bad = wanted.ports.find(({ protocol }) => protocol !== "TCP" && protocol !== "UDP");
        if (bad) throw new Refused(`protocol ${bad.protocol} is not supported`);
        const { uid } = wanted.service;
        const old = balancers.get(uid);
        const state = old?.state === "active" ? "active" : "provisioning";
        const changed = old ? differenceOf(old, wanted) : "balancer";
        balancers.set(uid, { ...structuredClone(wanted), state });
        return { state, ingress: [{ hostname: `${uid}.balancers.test` }], changed } as const;
      }),
    removeLoadBalancer: (uid) =>
      calling("removeLoadBalancer", () => {
        const one = balancers.get(uid);
        if (one) one.state = "going";
        return one ? "going" : "gone";
      }),
    loadBalancers: () => calling("loadBalancers", () => [...balancers.values()].map(({ service }) => service)),
    instances: (nodes) =>
      calling("instances", () =>
        nodes.flatMap((node) => {
          const one = instances.get(node);
          return one ? [{ node, zone: "zone-a", ...one }] : [];
        }),
      ),
    routes: () =>
      calling("routes", () =>
        !routing
          ? undefined
          : [...routes].map(([block, node]): Route => {
              const one = instances.get(node);
              return { block, node: one ? node : "", whole: one?.forwards === true };
            }),
      ),
    ensureRoute: ({ block, node }) =>
      calling("ensureRoute", () => {
        const one = instances.get(node);
        if (!one) throw new Error(`there is no instance ${node}`);
        one.forwards = true;
        routes.set(block, node);
      }),
    removeRoute: ({ block, node }) =>
      calling("removeRoute", () => {
        const target = routes.get(block) ?? "";
        if (target === node || !instances.has(target)) routes.delete(block);
      }),
  };
}

function differenceOf(old: LoadBalancer, wanted: LoadBalancer): "nothing" | "nodes" | "balancer" {
  const text = ({ service, ports, sourceRanges, healthPort, affinity, annotations }: LoadBalancer): string =>
    JSON.stringify([service.uid, ports, sourceRanges, healthPort, affinity, annotations]);
  if (text(old) !== text(wanted)) return "balancer";
  return [...old.nodes].sort().join() === [...wanted.nodes].sort().join() ? "nothing" : "nodes";
}

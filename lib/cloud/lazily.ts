import type { Cloud } from "./port.ts";

/** A cloud that is opened when it is first needed, for hosts that mostly do without and start often. */
export function lazily(routing: boolean, open: () => Promise<Cloud>): Cloud {
  let opened: Promise<Cloud> | undefined;
  const cloud = (): Promise<Cloud> => {
    opened ??= open();
    return opened;
  };
  return {
    routing,
    ensureLoadBalancer: async (wanted) => (await cloud()).ensureLoadBalancer(wanted),
    removeLoadBalancer: async (uid) => (await cloud()).removeLoadBalancer(uid),
    loadBalancers: async () => (await cloud()).loadBalancers(),
    instances: async (nodes) => (await cloud()).instances(nodes),
    routes: async () => (await cloud()).routes(),
    ensureRoute: async (route) => (await cloud()).ensureRoute(route),
    removeRoute: async (route) => (await cloud()).removeRoute(route),
  };
}

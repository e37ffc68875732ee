import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Refused } from "#cloud";
import { type Bench, balance, inOrder, seen, unbalance, type World, web } from "./world.ts";

export function balancing({ open }: Bench): void {
  describe("load balancers", () => {
    let world: World;
    let nodes: string[];
    beforeEach(async () => {
      world = await open();
      nodes = [await world.addInstance(), await world.addInstance()];
    });
    afterEach(() => world.close());
    const current = async () => inOrder(await world.balancers());

    test("creates a load balancer, which becomes active later and is then unchanged", async () => {
      const desired = web(nodes);
      const first = await world.cloud.ensureLoadBalancer(desired);
      expect(first).toMatchObject({ state: "provisioning", changed: "balancer" });
      const created = await balance(world, desired);
      expect(created.ingress).toHaveLength(1);
      expect(await current()).toEqual([seen(desired)]);
      expect(await world.cloud.ensureLoadBalancer(desired)).toEqual({ ...created, changed: "nothing" });
    });

    test("follows changes of ports, nodes and source ranges", async () => {
      const { ingress } = await balance(world, web(nodes));
      const other = await world.addInstance();
      const ports = [
        { protocol: "TCP", port: 80, nodePort: 30081 },
        { protocol: "UDP", port: 53, nodePort: 30053 },
      ];
      const moved = web([nodes[0]!, other], { ports, sourceRanges: ["192.0.2.0/24", "198.51.100.7/32"] });
      expect((await balance(world, moved)).ingress).toEqual(ingress);
      expect(await current()).toEqual(inOrder([seen(moved)]));
      const fewer = web([other], { ports: ports.slice(1), sourceRanges: ["198.51.100.7/32"] });
      await balance(world, fewer);
      expect(await current()).toEqual([seen(fewer)]);
      const none = { ...fewer, nodes: [] };
      expect((await world.cloud.ensureLoadBalancer(none)).changed).toBe("nodes");
      expect(await current()).toEqual([seen(none)]);
    });

    test("removes all parts, and removing again has no effect", async () => {
      await balance(world, web(nodes));
      await unbalance(world, web(nodes));
      expect(await world.things()).toEqual([]);
      expect(await world.cloud.removeLoadBalancer(web([]).service.uid)).toBe("gone");
      expect(await world.cloud.loadBalancers()).toEqual([]);
    });

    test("two services share no part, and both are listed", async () => {
      const api = web(nodes, { service: { uid: "7f1c-other", namespace: "shop", name: "api" } });
      await balance(world, web(nodes));
      await balance(world, api);
      const services = await world.cloud.loadBalancers();
      const byUid = (a: { uid: string }, b: { uid: string }) => a.uid.localeCompare(b.uid);
      expect([...services].sort(byUid)).toEqual([web(nodes).service, api.service].sort(byUid));
      await unbalance(world, web(nodes));
      expect(await current()).toEqual([seen(api)]);
    });

    test("refuses an unsupported protocol", async () => {
      const ports = [{ protocol: "SCTP", port: 80, nodePort: 30080 }];
      await expect(world.cloud.ensureLoadBalancer(web(nodes, { ports }))).rejects.toThrow(Refused);
      expect(await world.things()).toEqual([]);
    });
  });
}

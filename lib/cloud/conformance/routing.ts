import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Bench, World } from "./world.ts";

export function routing({ open }: Bench): void {
  describe("instances and routes", () => {
    let world: World;
    beforeEach(async () => {
      world = await open();
    });
    afterEach(() => world.close());

    test("lists only nodes that are running instances of the cluster", async () => {
      const node = await world.addInstance();
      const gone = await world.addInstance();
      await world.removeInstance(gone);
      const found = await world.cloud.instances([node, gone, "fargate", "i-0123456789abcdef0"]);
      expect(found).toEqual([{ node, zone: expect.stringMatching(/./), forwards: false }]);
      expect(await world.cloud.instances([])).toEqual([]);
    });

    test("creates a route once, to a node that then forwards", async () => {
      const node = await world.addInstance();
      expect(await world.cloud.routes()).toEqual([]);
      await world.cloud.ensureRoute({ block: "10.244.1.0/24", node });
      await world.cloud.ensureRoute({ block: "10.244.1.0/24", node });
      expect(await world.cloud.routes()).toEqual([{ block: "10.244.1.0/24", node, isComplete: true }]);
      expect(await world.cloud.instances([node])).toMatchObject([{ forwards: true }]);
    });

    test("moves the route of a block to another node", async () => {
      const [one, two] = [await world.addInstance(), await world.addInstance()];
      await world.cloud.ensureRoute({ block: "10.244.1.0/24", node: one });
      await world.cloud.ensureRoute({ block: "10.244.1.0/24", node: two });
      expect(await world.cloud.routes()).toEqual([{ block: "10.244.1.0/24", node: two, isComplete: true }]);
      await world.cloud.removeRoute({ block: "10.244.1.0/24", node: one });
      expect(await world.cloud.routes()).toHaveLength(1);
      await world.cloud.removeRoute({ block: "10.244.1.0/24", node: two });
      await world.cloud.removeRoute({ block: "10.244.1.0/24", node: two });
      expect(await world.cloud.routes()).toEqual([]);
    });

    test("a route to a terminated instance is incomplete and can be removed", async () => {
      const node = await world.addInstance();
      await world.cloud.ensureRoute({ block: "10.244.9.0/24", node });
      await world.removeInstance(node);
      const [route] = (await world.cloud.routes())!;
      expect(route).toMatchObject({ block: "10.244.9.0/24", isComplete: false });
      await world.cloud.removeRoute(route!);
      expect(await world.cloud.routes()).toEqual([]);
    });
  });
}

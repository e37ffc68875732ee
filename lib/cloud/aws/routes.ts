import type { Route } from "#cloud";
import { isCode, unless } from "./errors.ts";
import type { Instances } from "./instances.ts";
import type { AwsCloudOptions } from "./options.ts";
import { itemsAt, textAt } from "./xml.ts";

type RouteSpec = Pick<Route, "block" | "node">;

interface Entry {
  block: string;
  /** The instance; empty when the route does not lead to one. */
  node: string;
  active: boolean;
}

/**
 * The routes to pods in the given tables. A route has no tags: the cluster's are those that are within its pod
 * addresses and lead to an instance, or no longer to anything.
 */
export function vpcRoutes(
  { ec2, routeTables, podCidr }: Pick<AwsCloudOptions, "ec2" | "routeTables" | "podCidr">,
  instances: Instances,
) {
  const read = async (): Promise<Map<string, Entry[]>> => {
    const tables = new Map(routeTables.map((id): [string, Entry[]] => [id, []]));
    const answer = await ec2("DescribeRouteTables", { RouteTableId: routeTables });
    for (const table of itemsAt(answer, "routeTableSet")) {
      const entries = itemsAt(table, "routeSet").flatMap((route): Entry[] => {
        const block = textAt(route, "destinationCidrBlock");
        const node = textAt(route, "instanceId");
        const active = textAt(route, "state") === "active";
        const isOurs = isWithin(block, podCidr) && (node !== "" || !active);
        return isOurs ? [{ block, node, active }] : [];
      });
      tables.set(textAt(table, "routeTableId"), entries);
    }
    return tables;
  };
  const write = async (RouteTableId: string, entry: Entry | undefined, { block, node }: RouteSpec): Promise<void> => {
    if (entry?.active && entry.node === node) return;
    const input = { RouteTableId, DestinationCidrBlock: block, InstanceId: node };
    if (!entry) {
      try {
        await ec2("CreateRoute", input);
        return;
      } catch (error) {
        // An earlier call whose response was lost; or an existing route that the list does not show yet.
        if (!isCode(error, "RouteAlreadyExists")) throw error;
      }
    }
    await ec2("ReplaceRoute", input);
  };
  return {
    async list(): Promise<Route[]> {
      const tables = [...(await read()).values()];
      const blocks = new Set(tables.flatMap((entries) => entries.map(({ block }) => block)));
      const nodes = new Set(tables.flatMap((entries) => entries.map(({ node }) => node)));
      const forwarding = new Set((await instances([...nodes])).filter((one) => one.forwards).map(({ node }) => node));
      return [...blocks].map((block): Route => {
        const entries = tables.map((table) => table.find((entry) => entry.block === block));
        const node = entries.find((entry) => entry?.node)?.node ?? "";
        const isComplete = forwarding.has(node) && entries.every((entry) => entry?.active && entry.node === node);
        return { block, node, isComplete };
      });
    },
    async ensure({ block, node }: RouteSpec): Promise<void> {
      await ec2("ModifyInstanceAttribute", { InstanceId: node, SourceDestCheck: { Value: false } });
      for (const [table, entries] of await read()) {
        const entry = entries.find((each) => each.block === block);
        await write(table, entry, { block, node });
      }
    },
    async remove({ block, node }: RouteSpec): Promise<void> {
      for (const [RouteTableId, entries] of await read()) {
        const entry = entries.find((each) => each.block === block);
        if (!entry || (entry.active && entry.node !== node)) continue;
        await unless(["InvalidRoute.NotFound"], ec2("DeleteRoute", { RouteTableId, DestinationCidrBlock: block }));
      }
    },
  };
}

/** Whether an IPv4 block is within another, or equal to it. */
function isWithin(block: string, outer: string): boolean {
  const [first, bits] = rangeOf(block);
  const [outerFirst, outerBits] = rangeOf(outer);
  return (
    bits >= outerBits && Math.floor(first / 2 ** (32 - outerBits)) === Math.floor(outerFirst / 2 ** (32 - outerBits))
  );
}

function rangeOf(block: string): [first: number, bits: number] {
  const [address = "", bits = ""] = block.split("/");
  const parts = address.split(".");
  if (parts.length !== 4 || bits === "") return [Number.NaN, Number.NaN];
  return [parts.reduce((total, part) => total * 256 + Number(part), 0), Number(bits)];
}

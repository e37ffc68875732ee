/**
 * Allocates to each node a block of the cluster's pod addresses and releases it when the node is deleted (upstream's
 * range allocator). An allocation is an object with the name of the block, so two nodes cannot have the same.
 */

import { type Cidr, formatCidr, type Node, nodes, type PodCidrAllocation, parseCidr, podCidrAllocations } from "#api";
import { fnv1a, ignoreNotFound, ignoreReasons } from "#base";
import { type Controller, type ControllerContext, defineController, type Key, watching } from "#reconcile";

/** Each node gets addresses for 254 pods; a smaller cluster CIDR is assigned to one node as a whole. */
const nodePrefix = 24;

/** Without a cluster CIDR nodes report their own blocks, and the controller does nothing. */
export function nodeIpamController(podCidr?: string): Controller<Node> {
  const cluster = podCidr === undefined ? undefined : blockOf(podCidr);
  return defineController<Node>({
    name: "node-ipam",
    component: "cidrAllocator",
    for: nodes,
    concerns: ({ type, object, previous }) =>
      cluster !== undefined &&
      (type === "DELETED" || !object.spec?.podCIDR || object.spec.podCIDR !== previous?.spec?.podCIDR),
    watches: cluster
      ? [
          watching<PodCidrAllocation>(podCidrAllocations, ({ type, object }, context) =>
            type === "DELETED" ? nodesWithoutBlock(context) : [{ name: object.spec?.node ?? "" }],
          ),
        ]
      : [],
    workers: 1,
    reconcile: async (context, key) => (cluster ? syncNode(context, key, cluster) : undefined),
  });
}

function blockOf(text: string): Cidr {
  const block = parseCidr(text);
  if (block?.version !== 4) throw new Error(`the pod CIDR ${text} is not an IPv4 block`);
  return block;
}

/** Nodes without a block; reconciled when a block becomes free. */
async function nodesWithoutBlock({ client }: ControllerContext): Promise<Key[]> {
  const { items } = await client.list(nodes);
  return items.filter(({ spec }) => !spec?.podCIDR).map(({ metadata }) => ({ name: metadata.name ?? "" }));
}

const nameOf = (block: string): string => block.replace("/", "-");
const blockNamed = (name: string): string => name.replace("-", "/");

async function syncNode(context: ControllerContext, { name }: Key, cluster: Cidr): Promise<undefined> {
  const { client } = context;
  const { items } = await client.list(podCidrAllocations);
  const held = items.filter(({ spec }) => spec?.node === name);
  // The node is read after its allocations: whatever it shows now was allocated before.
  const node = await ignoreNotFound(client.get(nodes, { name }));
  const shown = node?.spec?.podCIDR;
  if (node && !shown) {
    const given = held[0]?.metadata.name ?? (await allocate(context, name, cluster, items));
    if (given === undefined) reportExhausted(context, node);
    else await assign(context, node, blockNamed(given));
    return undefined;
  }
  if (node && shown && !held.some(({ metadata }) => metadata.name === nameOf(shown))) {
    await allocateReported(context, node, shown, cluster);
  }
  for (const { metadata } of held) {
    if (shown && metadata.name === nameOf(shown)) continue;
    const { name: block = "", uid } = metadata;
    await ignoreReasons(["NotFound", "Conflict"], client.delete(podCidrAllocations, { name: block }, { uid }));
  }
  return undefined;
}

/**
 * Allocates a free block to the node. The first candidate depends on the node's name: nodes that register at once do
 * not compete for the same block, and a released block is not reused at once.
 */
async function allocate(
  { client }: ControllerContext,
  node: string,
  cluster: Cidr,
  taken: readonly PodCidrAllocation[],
): Promise<string | undefined> {
  const prefix = Math.max(nodePrefix, cluster.prefix);
  const count = 2 ** (prefix - cluster.prefix);
  const size = 2n ** BigInt(32 - prefix);
  const names = new Set(taken.map(({ metadata }) => metadata.name));
  const first = fnv1a(node) % count;
  for (let step = 0; step < count; step++) {
    const value = cluster.value + BigInt((first + step) % count) * size;
    const name = nameOf(formatCidr({ version: 4, value, prefix }));
    if (names.has(name)) continue;
    const made = await ignoreReasons(
      ["AlreadyExists"],
      client.create(podCidrAllocations, { metadata: { name }, spec: { node } }),
    );
    if (made) return name;
  }
  return undefined;
}

/** Writes an allocated block to the node. Safe to repeat: the allocation stays. */
async function assign({ client }: ControllerContext, { metadata }: Node, podCIDR: string): Promise<void> {
  const patch = { metadata: { uid: metadata.uid }, spec: { podCIDR, podCIDRs: [podCIDR] } };
  await ignoreNotFound(client.patch(nodes, { name: metadata.name ?? "" }, patch, { type: "merge" }));
}

/** Allocates the block that a node reported itself, unless another node has it. */
async function allocateReported(context: ControllerContext, node: Node, block: string, cluster: Cidr): Promise<void> {
  const { client, record } = context;
  const own = parseCidr(block);
  const { name = "" } = node.metadata;
  const beyond = cluster.value + 2n ** BigInt(32 - cluster.prefix);
  if (own?.version !== 4 || own.value < cluster.value || own.value >= beyond) return;
  const made = { metadata: { name: nameOf(formatCidr(own)) }, spec: { node: name } };
  if (await ignoreReasons(["AlreadyExists"], client.create(podCidrAllocations, made))) return;
  const message = `The pod CIDR ${block} belongs to another node too; please recreate the node`;
  record({ kind: nodes, object: node }, "Warning", "CIDRAlreadyAllocated", message);
}

function reportExhausted({ record, log }: ControllerContext, node: Node): void {
  const { name } = node.metadata;
  log.warn("no pod addresses are left for a node", { node: name });
  record({ kind: nodes, object: node }, "Normal", "CIDRNotAvailable", `Node ${name} status is now: CIDRNotAvailable`);
}

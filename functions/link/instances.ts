import type { z } from "zod";
import { type Node, nodes } from "#api";
import { formatTime, isReason, systemClock } from "#base";
import type { Client } from "#client";
import { log } from "#hosts/aws";
import type { InstanceEvent } from "./events.ts";

const gone = new Set(["shutting-down", "terminated"]);

/** When a node was last heard, in milliseconds since the epoch. */
type Heard = (node: string) => Promise<number | undefined>;

/**
 * An instance is a node of the same name. A terminated instance's Node is deleted, as by upstream's cloud node
 * lifecycle controller; a stopped instance's node becomes Unknown, unless it was heard after the event; an interrupted
 * Spot instance's node is cordoned.
 */
export async function instanceChanged(
  client: Client,
  heard: Heard,
  event: z.infer<typeof InstanceEvent>,
): Promise<void> {
  const { "instance-id": name, state } = event.detail;
  const node = await client.get(nodes, { name }).catch((error: unknown) => {
    if (isReason(error, "NotFound")) return undefined;
    throw error;
  });
  // Most instances of an account are not nodes of the cluster.
  if (!node) return;
  log.info("an instance that is a node changes", { name, state: state ?? "interruption" });
  if (state === undefined) await cordon(client, node);
  else if (gone.has(state)) await client.delete(nodes, { name }, { uid: node.metadata.uid }).catch(unlessGone);
  else if (event.time !== undefined && ((await heard(name)) ?? 0) > Date.parse(event.time)) {
    log.info("a stop was reported after the node was heard again", { name, time: event.time });
  } else await silence(client, node);
}

function unlessGone(error: unknown): undefined {
  if (isReason(error, "NotFound")) return undefined;
  throw error;
}

async function cordon(client: Client, { metadata, spec }: Node): Promise<void> {
  if (spec?.unschedulable) return;
  const patch = { metadata: { uid: metadata.uid }, spec: { unschedulable: true } };
  await client.patch(nodes, { name: metadata.name ?? "" }, patch, { type: "merge" });
}

/** Sets Ready to Unknown; the node lifecycle controller does the rest. */
async function silence(client: Client, { metadata, status }: Node): Promise<void> {
  const ready = status?.conditions?.find(({ type }) => type === "Ready");
  if (ready?.status === "Unknown") return;
  const condition = {
    type: "Ready",
    status: "Unknown",
    reason: "NodeStatusUnknown",
    message: "The node's instance has stopped.",
    lastTransitionTime: formatTime(systemClock.now()),
  };
  const patch = { metadata: { uid: metadata.uid }, status: { conditions: [condition] } };
  await client.patch(nodes, { name: metadata.name ?? "" }, patch, { type: "strategic", subresource: "status" });
}

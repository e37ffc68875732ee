import type * as z from "zod";
import { defineKind, message, metadataField, optional, required, string } from "../meta/index.ts";

export const PodCidrAllocationSpec = message("dev.skiff.v1.PodCidrAllocationSpec", () => ({
  node: required(1, string, "Name of the node that has the block."),
}));
export type PodCidrAllocationSpec = z.infer<typeof PodCidrAllocationSpec>;

export const PodCidrAllocation = message("dev.skiff.v1.PodCidrAllocation", () => ({
  metadata: metadataField(),
  spec: optional(2, PodCidrAllocationSpec, "The node that uses the block."),
}));
export type PodCidrAllocation = z.infer<typeof PodCidrAllocation>;

/**
 * A node's part of the pod addresses: the name is the block, as `10.244.3.0-24`, so that it exists once. The control
 * plane's own bookkeeping.
 */
export const podCidrAllocations = defineKind<PodCidrAllocation>({
  group: "skiff.dev",
  version: "v1",
  kind: "PodCidrAllocation",
  plural: "podcidrallocations",
  singular: "podcidrallocation",
  scope: "Cluster",
  internal: true,
  schema: PodCidrAllocation,
});

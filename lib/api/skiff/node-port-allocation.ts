import type * as z from "zod";
import { defineKind, message, metadataField, optional, required, string } from "../meta/index.ts";

export const NodePortAllocationSpec = message("dev.skiff.v1.NodePortAllocationSpec", () => ({
  namespace: required(1, string, "Namespace of the service that has the port."),
  name: required(2, string, "Name of the service that has the port."),
}));
export type NodePortAllocationSpec = z.infer<typeof NodePortAllocationSpec>;

export const NodePortAllocation = message("dev.skiff.v1.NodePortAllocation", () => ({
  metadata: metadataField(),
  spec: optional(2, NodePortAllocationSpec, "The service that uses the port."),
}));
export type NodePortAllocation = z.infer<typeof NodePortAllocation>;

/** A node port that is taken: the name is the port, so that it exists once. The control plane's own bookkeeping. */
export const nodePortAllocations = defineKind<NodePortAllocation>({
  group: "skiff.dev",
  version: "v1",
  kind: "NodePortAllocation",
  plural: "nodeportallocations",
  singular: "nodeportallocation",
  scope: "Cluster",
  internal: true,
  schema: NodePortAllocation,
});

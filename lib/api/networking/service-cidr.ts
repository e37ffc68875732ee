import type * as z from "zod";
import { Condition, list, message, metadataField, optional, string } from "../meta/index.ts";

export const ServiceCIDRSpec = message("io.k8s.api.networking.v1.ServiceCIDRSpec", () => ({
  cidrs: optional(1, list(string), "The blocks that services get addresses from, at most one for each IP version.", {
    list: "atomic",
  }),
}));
export type ServiceCIDRSpec = z.infer<typeof ServiceCIDRSpec>;

export const ServiceCIDRStatus = message("io.k8s.api.networking.v1.ServiceCIDRStatus", () => ({
  conditions: optional(1, list(Condition), "What is known of the blocks.", {
    list: "map",
    keys: ["type"],
    mergeKey: "type",
  }),
}));
export type ServiceCIDRStatus = z.infer<typeof ServiceCIDRStatus>;

export const ServiceCIDR = message("io.k8s.api.networking.v1.ServiceCIDR", () => ({
  metadata: metadataField(),
  spec: optional(2, ServiceCIDRSpec, "The wanted state of the blocks."),
  status: optional(3, ServiceCIDRStatus, "The observed state of the blocks."),
}));
export type ServiceCIDR = z.infer<typeof ServiceCIDR>;

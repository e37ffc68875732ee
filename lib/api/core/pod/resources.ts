import type * as z from "zod";
import { list, map, message, optional, quantity, required, string } from "../../meta/index.ts";

export const ResourceClaim = message("io.k8s.api.core.v1.ResourceClaim", () => ({
  name: required(1, string),
  request: optional(2, string),
}));
export type ResourceClaim = z.infer<typeof ResourceClaim>;

export const ResourceRequirements = message("io.k8s.api.core.v1.ResourceRequirements", () => ({
  limits: optional(1, map(quantity)),
  requests: optional(2, map(quantity)),
  claims: optional(3, list(ResourceClaim), undefined, { list: "map", keys: ["name"] }),
}));
export type ResourceRequirements = z.infer<typeof ResourceRequirements>;

export const ContainerResizePolicy = message("io.k8s.api.core.v1.ContainerResizePolicy", () => ({
  resourceName: required(1, string),
  restartPolicy: required(2, string),
}));
export type ContainerResizePolicy = z.infer<typeof ContainerResizePolicy>;

export const PodResourceClaim = message("io.k8s.api.core.v1.PodResourceClaim", () => ({
  name: required(1, string),
  resourceClaimName: optional(3, string),
  resourceClaimTemplateName: optional(4, string),
}));
export type PodResourceClaim = z.infer<typeof PodResourceClaim>;

import type * as z from "zod";
import { list, map, message, optional, quantity, required, string } from "../../meta/index.ts";

export const ResourceClaim = message("io.k8s.api.core.v1.ResourceClaim", () => ({
  name: required(1, string, "One of the pod's resource claims."),
  request: optional(2, string, "One request of the claim; absent for all."),
}));
export type ResourceClaim = z.infer<typeof ResourceClaim>;

export const ResourceRequirements = message("io.k8s.api.core.v1.ResourceRequirements", () => ({
  limits: optional(1, map(quantity), "Maximum resources, by name."),
  requests: optional(2, map(quantity), "Minimum resources, by name. Defaults to the limits."),
  claims: optional(3, list(ResourceClaim), "The pod's resource claims that the container uses.", {
    list: "map",
    keys: ["name"],
  }),
}));
export type ResourceRequirements = z.infer<typeof ResourceRequirements>;

export const ContainerResizePolicy = message("io.k8s.api.core.v1.ContainerResizePolicy", () => ({
  resourceName: required(1, string, "The resource: cpu or memory."),
  restartPolicy: required(2, string, "What a change needs: NotRequired or RestartContainer."),
}));
export type ContainerResizePolicy = z.infer<typeof ContainerResizePolicy>;

export const PodResourceClaim = message("io.k8s.api.core.v1.PodResourceClaim", () => ({
  name: required(1, string, "Name of the claim within the pod."),
  resourceClaimName: optional(3, string, "Name of a ResourceClaim in the same namespace.", { isPointer: true }),
  resourceClaimTemplateName: optional(4, string, "Name of the template for a claim of the pod.", {
    isPointer: true,
  }),
}));
export type PodResourceClaim = z.infer<typeof PodResourceClaim>;

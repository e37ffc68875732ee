import type * as z from "zod";
import { message, metadataField, optional, required, string } from "../meta/index.ts";

export const ParentReference = message("io.k8s.api.networking.v1.ParentReference", () => ({
  group: optional(1, string, "Group of the owner."),
  resource: required(2, string, "Resource of the owner."),
  namespace: optional(3, string, "Namespace of the owner."),
  name: required(4, string, "Name of the owner."),
}));
export type ParentReference = z.infer<typeof ParentReference>;

export const IPAddressSpec = message("io.k8s.api.networking.v1.IPAddressSpec", () => ({
  parentRef: required(1, ParentReference, "Who has the address."),
}));
export type IPAddressSpec = z.infer<typeof IPAddressSpec>;

export const IPAddress = message("io.k8s.api.networking.v1.IPAddress", () => ({
  metadata: metadataField(),
  spec: required(2, IPAddressSpec, "The wanted state of the address."),
}));
export type IPAddress = z.infer<typeof IPAddress>;

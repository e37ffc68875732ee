import type * as z from "zod";
import { ListMeta, list, message, metadataField, optional, required, string } from "../meta/index.ts";

const discovery = "io.k8s.api.apidiscovery.v2";

export const GroupVersionKindForm = message("io.k8s.apimachinery.pkg.apis.meta.v1.GroupVersionKind", () => ({
  group: required(1, string, "The group."),
  version: required(2, string, "The version."),
  kind: required(3, string, "The kind."),
}));
export type GroupVersionKindForm = z.infer<typeof GroupVersionKindForm>;

export const APISubresourceDiscovery = message(`${discovery}.APISubresourceDiscovery`, () => ({
  subresource: required(1, string, "Name of the subresource."),
  responseKind: optional(2, GroupVersionKindForm, "Kind of the answer."),
  acceptedTypes: optional(3, list(GroupVersionKindForm), "Kinds that it accepts.", { list: "atomic" }),
  verbs: required(4, list(string), "Verbs that it supports.", { list: "set" }),
}));
export type APISubresourceDiscovery = z.infer<typeof APISubresourceDiscovery>;

export const APIResourceDiscovery = message(`${discovery}.APIResourceDiscovery`, () => ({
  resource: required(1, string, "Plural name."),
  responseKind: optional(2, GroupVersionKindForm, "Kind of its objects."),
  scope: required(3, string, "Namespaced or Cluster."),
  singularResource: required(4, string, "Singular name."),
  verbs: required(5, list(string), "Verbs that it supports.", { list: "set" }),
  shortNames: optional(6, list(string), "Short forms of the name.", { list: "set" }),
  categories: optional(7, list(string), "Sets of resources that it belongs to, such as `all`.", { list: "set" }),
  subresources: optional(8, list(APISubresourceDiscovery), "Its subresources.", { list: "map", keys: ["subresource"] }),
}));
export type APIResourceDiscovery = z.infer<typeof APIResourceDiscovery>;

export const APIVersionDiscovery = message(`${discovery}.APIVersionDiscovery`, () => ({
  version: required(1, string, "Name of the version."),
  resources: optional(2, list(APIResourceDiscovery), "Its resources.", { list: "map", keys: ["resource"] }),
  freshness: optional(3, string, "Current, or Stale if an aggregated server did not answer."),
}));
export type APIVersionDiscovery = z.infer<typeof APIVersionDiscovery>;

export const APIGroupDiscovery = message(`${discovery}.APIGroupDiscovery`, () => ({
  metadata: metadataField("Its name is the group's."),
  versions: optional(2, list(APIVersionDiscovery), "The versions, best first.", { list: "map", keys: ["version"] }),
}));
export type APIGroupDiscovery = z.infer<typeof APIGroupDiscovery>;

/** All groups with all versions and resources in one answer. */
export const APIGroupDiscoveryList = message(`${discovery}.APIGroupDiscoveryList`, () => ({
  metadata: optional(1, ListMeta, "Metadata of the list."),
  items: required(2, list(APIGroupDiscovery), "The groups."),
}));
export type APIGroupDiscoveryList = z.infer<typeof APIGroupDiscoveryList>;

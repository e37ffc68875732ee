import type * as z from "zod";
import { boolean, list, message, optional, required, string } from "../meta/index.ts";

const meta = "io.k8s.apimachinery.pkg.apis.meta.v1";

export const GroupVersionForDiscovery = message(`${meta}.GroupVersionForDiscovery`, () => ({
  groupVersion: required(1, string, "Group and version, such as `apps/v1`."),
  version: required(2, string, "The version alone."),
}));
export type GroupVersionForDiscovery = z.infer<typeof GroupVersionForDiscovery>;

export const ServerAddressByClientCIDR = message(`${meta}.ServerAddressByClientCIDR`, () => ({
  clientCIDR: required(1, string, "Clients with these addresses"),
  serverAddress: required(2, string, "should use this address of the server."),
}));
export type ServerAddressByClientCIDR = z.infer<typeof ServerAddressByClientCIDR>;

const addressesDoc = "Which address of the server to use.";

/** A group and its versions (`/apis/<group>`). */
export const APIGroup = message(`${meta}.APIGroup`, () => ({
  name: required(1, string, "Name of the group."),
  versions: required(2, list(GroupVersionForDiscovery), "The versions that are served.", { list: "atomic" }),
  preferredVersion: optional(3, GroupVersionForDiscovery, "The version that the server prefers."),
  serverAddressByClientCIDRs: optional(4, list(ServerAddressByClientCIDR), addressesDoc, { list: "atomic" }),
}));
export type APIGroup = z.infer<typeof APIGroup>;

/** All groups but the core group (`/apis`). */
export const APIGroupList = message(`${meta}.APIGroupList`, () => ({
  groups: required(1, list(APIGroup), "The groups.", { list: "atomic" }),
}));
export type APIGroupList = z.infer<typeof APIGroupList>;

/** The versions of the core group (`/api`). */
export const APIVersions = message(`${meta}.APIVersions`, () => ({
  versions: required(1, list(string), "The versions that are served.", { list: "atomic" }),
  serverAddressByClientCIDRs: required(2, list(ServerAddressByClientCIDR), addressesDoc, { list: "atomic" }),
}));
export type APIVersions = z.infer<typeof APIVersions>;

/** A resource or subresource of a version. */
export const APIResource = message(`${meta}.APIResource`, () => ({
  name: required(1, string, "Plural name, with the subresource after a slash."),
  namespaced: required(2, boolean, "Whether its objects are namespaced."),
  kind: required(3, string, "Kind of its objects."),
  // Protobuf wraps the verbs in a message, as its field 1.
  verbs: required(1, list(string), "Verbs that it supports.", {
    proto: { field: "verbs", n: 4, message: `${meta}.Verbs` },
  }),
  shortNames: optional(5, list(string), "Short forms of the name.", { list: "atomic" }),
  singularName: required(6, string, "Singular name."),
  categories: optional(7, list(string), "Sets of resources that it belongs to, such as `all`.", { list: "atomic" }),
  group: optional(8, string, "Group of its objects, where it differs from the list's."),
  version: optional(9, string, "Version of its objects, where it differs from the list's."),
  storageVersionHash: optional(10, string, "Hash of the version in which objects are stored."),
}));
export type APIResource = z.infer<typeof APIResource>;

/** The resources of a version (`/apis/<group>/<version>`). */
export const APIResourceList = message(`${meta}.APIResourceList`, () => ({
  groupVersion: required(1, string, "Group and version."),
  resources: required(2, list(APIResource), "The resources.", { list: "atomic" }),
}));
export type APIResourceList = z.infer<typeof APIResourceList>;

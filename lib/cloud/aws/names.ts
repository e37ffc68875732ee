import { createHash } from "node:crypto";
import type { ServiceRef } from "#cloud";

const hash = (text: string, length: number): string => createHash("sha256").update(text).digest("hex").slice(0, length);

/** The prefix of the names of a cluster's resources. The tags decide ownership, not the name. */
const prefixOf = (cluster: string): string => `skiff-${hash(cluster, 8)}-`;

/** A load balancer's name, 31 characters; ELB accepts 32. */
export const balancerName = (cluster: string, uid: string): string => `${prefixOf(cluster)}${hash(uid, 16)}`;

/** The prefix of the names of a service's target groups. */
export const groupPrefix = (cluster: string, uid: string): string => `${prefixOf(cluster)}${hash(uid, 8)}-`;

/** A target group's name, 32 characters. It contains everything that cannot be changed of a group. */
export const groupName = (
  cluster: string,
  { uid, protocol, nodePort }: { uid: string; protocol: string; nodePort: number },
): string => `${groupPrefix(cluster, uid)}${hash(`${protocol}:${nodePort}`, 8)}`;

export const securityGroupName = (cluster: string, uid: string): string => `skiff-${cluster}-balancer-${uid}`;

/** The tag with the owning cluster; stacks and instances have it too. */
export const clusterTag = "skiff:cluster";
/** The tag of the parts of a load balancer, and of nothing else: the service's uid. */
export const balancerTag = "skiff:balancer";
const serviceTag = "kubernetes.io/service-name";

export type Tags = Readonly<Record<string, string>>;

export const tagsOf = (cluster: string, { uid, namespace, name }: ServiceRef): Tags => ({
  [clusterTag]: cluster,
  [balancerTag]: uid,
  [serviceTag]: `${namespace}/${name}`,
  [`kubernetes.io/cluster/${cluster}`]: "owned",
});

/** Whether a resource is a part of this service's load balancer in this cluster. */
export const isMarked = (tags: Tags, cluster: string, uid: string): boolean =>
  tags[clusterTag] === cluster && tags[balancerTag] === uid;

export const serviceIn = (tags: Tags): ServiceRef => {
  const [namespace = "", name = ""] = (tags[serviceTag] ?? "").split("/");
  return { uid: tags[balancerTag] ?? "", namespace, name };
};

export const tagList = (tags: Tags): { Key: string; Value: string }[] =>
  Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));

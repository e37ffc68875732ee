import { createHash } from "node:crypto";
import type { Balancing } from "#cloud";

const hash = (text: string, length: number): string => createHash("sha256").update(text).digest("hex").slice(0, length);

/** Nothing with this name in front and other tags is ours. */
const prefixOf = (cluster: string): string => `skiff-${hash(cluster, 8)}-`;

/** A load balancer's name: 31 characters of the 32 that there may be. */
export const balancerName = (cluster: string, uid: string): string => `${prefixOf(cluster)}${hash(uid, 16)}`;

/** What the names of a service's target groups begin with. */
export const groupPrefix = (cluster: string, uid: string): string => `${prefixOf(cluster)}${hash(uid, 8)}-`;

/** A target group's name, 32 characters: it says what can never be changed of one. */
export const groupName = (cluster: string, uid: string, protocol: string, nodePort: number): string =>
  `${groupPrefix(cluster, uid)}${hash(`${protocol}:${nodePort}`, 8)}`;

export const securityGroupName = (cluster: string, uid: string): string => `skiff-${cluster}-balancer-${uid}`;

/** The tag that says whose everything is: stacks and instances have it too. */
export const clusterTag = "skiff:cluster";
/** The tag of what was made for a load balancer, and of nothing else: the service's uid. */
export const balancerTag = "skiff:balancer";
const serviceTag = "kubernetes.io/service-name";

export type Tags = Readonly<Record<string, string>>;

export const tagsOf = (cluster: string, { uid, namespace, name }: Balancing): Tags => ({
  [clusterTag]: cluster,
  [balancerTag]: uid,
  [serviceTag]: `${namespace}/${name}`,
  [`kubernetes.io/cluster/${cluster}`]: "owned",
});

/** Whether something was made for this service's load balancer by this cluster. */
export const isMarked = (tags: Tags, cluster: string, uid: string): boolean =>
  tags[clusterTag] === cluster && tags[balancerTag] === uid;

export const serviceIn = (tags: Tags): Balancing => {
  const [namespace = "", name = ""] = (tags[serviceTag] ?? "").split("/");
  return { uid: tags[balancerTag] ?? "", namespace, name };
};

export const tagList = (tags: Tags): { Key: string; Value: string }[] =>
  Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));

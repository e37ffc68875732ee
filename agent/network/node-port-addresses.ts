import { canonicalIp, parseCidr } from "#api/meta";
import { type IpFamily, withoutNested } from "./service-port.ts";

/** Names of blocks: the node's own address, its loopback, and all addresses. */
const keywords = ["primary", "localhost", "all"] as const;

/** Whether a word names addresses as kube-proxy's --nodeport-addresses does: a keyword, or a block such as 192.0.2.0/24. */
export const isNodePortAddress = (word: string): boolean =>
  keywords.some((keyword) => keyword === word) || parseCidr(word) !== undefined;

export interface NodePortRequest {
  /** Keywords and blocks of both families. */
  words: readonly string[];
  family: IpFamily;
  /** The node's own address in this family. Absent: `primary` names none. */
  nodeIp?: string | undefined;
}

/**
 * The blocks whose addresses of this node answer node ports, none inside of another one; undefined: all. Addresses of
 * the loopback answer none, whatever the blocks. Follows expandNodePortAddressKeywords of cmd/kube-proxy and
 * NewNodePortAddresses: words of the other family only are no restriction of this one.
 */
export function nodePortBlocks({ words, family, nodeIp }: NodePortRequest): string[] | undefined {
  const isOfFamily = (block: string): boolean => block.includes(":") === (family === "IPv6");
  const blocks = words.flatMap((word) => blocksOf(word, nodeIp)).filter(isOfFamily);
  const isAll = blocks.length === 0 || blocks.some((block) => parseCidr(block)?.prefix === 0);
  return isAll ? undefined : withoutNested(blocks);
}

function blocksOf(word: string, nodeIp: string | undefined): string[] {
  if (word === "all") return ["0.0.0.0/0", "::/0"];
  if (word === "localhost") return ["127.0.0.0/8", "::1/128"];
  if (word !== "primary") return [word];
  const ip = nodeIp === undefined ? undefined : canonicalIp(nodeIp);
  const isLoopback = ip === undefined || ip === "::1" || ip.startsWith("127.");
  return isLoopback ? [] : [`${ip}/${ip.includes(":") ? 128 : 32}`];
}

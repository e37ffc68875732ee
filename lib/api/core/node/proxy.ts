import { badRequest } from "#base";
import type { Kind, ProxySubresource } from "../../meta/index.ts";
import type { Node } from "./schema.ts";

/** nodes/proxy: the kubelet. A port in the path must be the kubelet's; upstream dials any port of the node. */
export const nodeProxy = (nodes: () => Kind<Node>): ProxySubresource => ({
  type: "proxy",
  accepts: { group: "", version: "v1", kind: "NodeProxyOptions" },
  async target({ name, port }, { get }) {
    const { status } = await get(nodes(), { name });
    if (port === "" || port === String(status?.daemonEndpoints?.kubeletEndpoint?.Port ?? "")) return { node: name };
    throw badRequest(`port ${JSON.stringify(port)} is not the kubelet's: no other port of a node is proxied`);
  },
});

import { badRequest } from "#base";
import { isGlobalUnicast, type Kind, type ProxySubresource } from "../../meta/index.ts";
import type { Pod } from "./spec.ts";

const defaultPorts = { http: 80, https: 443 } as const;

/**
 * pods/proxy: the pod's first address and the port in the path, by default the first port of its first container that
 * has one, or else the scheme's (upstream's pod.ResourceLocation). Ports have no names here.
 */
export const podProxy = (pods: () => Kind<Pod>): ProxySubresource => ({
  type: "proxy",
  accepts: { group: "", version: "v1", kind: "PodProxyOptions" },
  async target({ namespace, name, port, scheme }, context) {
    const { spec, status } = await context.get(pods(), { namespace, name });
    const declared = spec?.containers.flatMap(({ ports }) => ports?.[0]?.containerPort ?? [])[0];
    const number = port === "" ? (declared ?? defaultPorts[scheme]) : portOf(port);
    const address = status?.podIPs?.[0]?.ip ?? "";
    const node = spec?.nodeName ?? "";
    if (node === "" || !isGlobalUnicast(address)) throw badRequest("address not allowed");
    return { node, dial: { type: "dial", pod: { namespace, name }, address, port: number } };
  },
});

function portOf(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65_535) return port;
  throw badRequest(`invalid port ${JSON.stringify(text)}: a number between 1 and 65535 is required`);
}

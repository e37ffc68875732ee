import type { NodeLinks } from "#apiserver";
import { type Clock, type Log, messageOf, serviceUnavailable } from "#base";
import type { Links } from "#hosts/https";

export interface NodeConnectionOptions {
  /** The links of connected agents. */
  links: Pick<Links, "has" | "proxy" | "request">;
  /** Serves logs from CloudWatch; refuses every other request. */
  fromLogs: NodeLinks;
  clock: Clock;
  log: Log;
}

/** Milliseconds after which an agent that has not begun to answer counts as gone. */
const responseTimeout = 10_000;

/**
 * Requests to nodes: by the agent's link if it is connected. Logs that the agent no longer has, or does not send, are
 * read from CloudWatch, which stores them for longer than the node does.
 */
export function nodeConnections({ links, fromLogs, clock, log }: NodeConnectionOptions): NodeLinks {
  const requestAgent: NodeLinks["request"] = async (node, request, signal) => {
    const late = new AbortController();
    const timer = clock.timer(responseTimeout, () => late.abort());
    try {
      return await links.request(node, request, AbortSignal.any([signal, late.signal]));
    } finally {
      timer.cancel();
    }
  };
  return {
    proxy: (target, request) => (links.has(target.node) ? links : fromLogs).proxy(target, request),
    async request(node, request, signal) {
      if (!links.has(node)) return fromLogs.request(node, request, signal);
      if (request.type !== "logs") return links.request(node, request, signal);
      try {
        const response = await requestAgent(node, request, signal);
        if (response.status === 200) return response;
        // A Status with the reason; CloudWatch's answer has one too, if it has no log either.
        for await (const _ of response.body);
      } catch (error) {
        log.info("an agent did not send logs", { node, error: messageOf(error) });
      }
      if (signal.aborted) throw serviceUnavailable(`the client of the log request to node ${node} has gone`);
      return fromLogs.request(node, request, signal);
    },
  };
}

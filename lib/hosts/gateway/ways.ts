import type { NodeLinks } from "#apiserver";
import { type Clock, type Log, messageOf, serviceUnavailable } from "#base";
import type { Links } from "#hosts/https";

export interface WayOptions {
  /** Agents that have dialled in. */
  links: Pick<Links, "has" | "request">;
  /** Logs where nodes send them; refuses all else. */
  fromLogs: NodeLinks;
  clock: Clock;
  log: Log;
}

/** An agent that has not begun to answer after so long is taken for gone, in milliseconds. */
const patience = 10_000;

/**
 * The ways to nodes: the agent where it has dialled in. Logs that it has no more, or that it does not give, are read
 * where nodes send them: there they lie for longer than on the node.
 */
export function ways({ links, fromLogs, clock, log }: WayOptions): NodeLinks {
  const ofAgent: NodeLinks["request"] = async (node, request, signal) => {
    const late = new AbortController();
    const timer = clock.timer(patience, () => late.abort());
    try {
      return await links.request(node, request, AbortSignal.any([signal, late.signal]));
    } finally {
      timer.cancel();
    }
  };
  return {
    async request(node, request, signal) {
      if (!links.has(node)) return fromLogs.request(node, request, signal);
      if (request.type !== "logs") return links.request(node, request, signal);
      try {
        const answer = await ofAgent(node, request, signal);
        if (answer.status === 200) return answer;
        // A Status, which says why not: the other way says it too, if it has nothing either.
        for await (const _ of answer.body);
      } catch (error) {
        log.info("an agent gives no logs", { node, error: messageOf(error) });
      }
      if (signal.aborted) throw serviceUnavailable(`nobody waits for what node ${node} says`);
      return fromLogs.request(node, request, signal);
    },
  };
}

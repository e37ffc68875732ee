import { expect, test } from "vitest";
import type { NodeRequest } from "#api/meta";
import { badRequest, serviceUnavailable, silentLog } from "#base";
import { handClock } from "#test/make";
import { nodeConnections } from "./node-connections.ts";

const pod = { namespace: "default", name: "web" };
const options = { follow: false, previous: false, timestamps: false, tailLines: 3 };
const logs: NodeRequest = { type: "logs", pod, container: "main", options };
const stats: NodeRequest = { type: "statsSummary" };
type Answer = (signal: AbortSignal) => Promise<{ status: number; body: string }>;

/** Nodes whose logs are all in the service; `i-1` has a connected agent, which answers like this. */
function open(agent: Answer, service = async (): Promise<string> => "of the service") {
  const clock = handClock();
  const bodyOf = async function* (text: string) {
    yield Buffer.from(text);
  };
  const proxy = () => Promise.reject(new Error("not in this test"));
  const { request } = nodeConnections({
    links: {
      has: (node) => node === "i-1",
      proxy,
      request: async (_node, _request, signal) => {
        const { status, body } = await agent(signal);
        return { status, headers: {}, body: bodyOf(body) };
      },
    },
    fromLogs: { proxy, request: async () => ({ status: 200, headers: {}, body: bodyOf(await service()) }) },
    ...{ clock, log: silentLog },
  });
  const read = async (node: string, sent: NodeRequest, signal = new AbortController().signal): Promise<string> => {
    let text = "";
    for await (const part of (await request(node, sent, signal)).body) text += Buffer.from(part);
    return text;
  };
  return { clock, read };
}

test("requests a connected agent; reads the logs of other nodes from the service", async () => {
  const { read } = open(async () => ({ status: 200, body: "of the agent" }));
  expect(await read("i-1", logs)).toBe("of the agent");
  expect(await read("i-1", stats)).toBe("of the agent");
  expect(await read("i-2", logs)).toBe("of the service");
});

test("reads logs that the agent does not have or send from the service, and nothing else", async () => {
  const answers: Answer[] = [
    async () => ({ status: 404, body: "{}" }),
    async () => Promise.reject(serviceUnavailable("it did not answer")),
  ];
  for (const agent of answers) expect(await open(agent).read("i-1", logs)).toBe("of the service");
  expect(await open(answers[0]!).read("i-1", stats)).toBe("{}");
  await expect(open(answers[1]!).read("i-1", stats)).rejects.toThrow("it did not answer");
  const neither = open(answers[0]!, async () => Promise.reject(badRequest("previous container not found")));
  await expect(neither.read("i-1", logs)).rejects.toThrow("previous container not found");
});

const never: Answer = (signal) =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(serviceUnavailable("cut off"))));

test("gives up an agent that does not answer for ten seconds", async () => {
  const { clock, read } = open(never);
  const reading = read("i-1", logs);
  clock.move(10_000);
  expect(await reading).toBe("of the service");
});

test("fails when the client has gone", async () => {
  const { read } = open(never);
  const client = new AbortController();
  const reading = read("i-1", logs, client.signal);
  client.abort();
  await expect(reading).rejects.toThrow("has gone");
});

test("does not limit a response that has begun", async () => {
  let seen: AbortSignal | undefined;
  const { clock, read } = open(async (signal) => {
    seen = signal;
    return { status: 200, body: "slowly" };
  });
  expect(await read("i-1", logs)).toBe("slowly");
  clock.move(60_000);
  expect(seen?.aborted).toBe(false);
});

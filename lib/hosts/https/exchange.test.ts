import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import type { ApiRequest, ApiResponse } from "#apiserver";
import { createAuthority, issue } from "#auth/certificates";
import { silentLog, systemClock } from "#base";
import { createLinks, serve } from "./index.ts";

/**
 * A client outside of the server's event loop: its next request arrives while the server still writes the last
 * response.
 */
const client = `
  const { request, Agent } = require("node:https");
  const { parentPort, workerData: port } = require("node:worker_threads");
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const post = () => new Promise((resolve) => {
    const sent = request({ port, host: "127.0.0.1", method: "POST", agent, rejectUnauthorized: false }, (answer) => {
      let bytes = 0;
      answer.on("data", (chunk) => { bytes += chunk.length; });
      answer.on("end", () => resolve(bytes));
      answer.on("error", (error) => resolve(error.code));
    });
    sent.on("error", (error) => resolve(error.code));
    sent.end(Buffer.alloc(100_000));
  });
  (async () => {
    const seen = {};
    for (let count = 0; count < 100; count++) { const got = await post(); seen[got] = (seen[got] ?? 0) + 1; }
    agent.destroy();
    parentPort.postMessage(seen);
  })();
`;

test("large answers leave their connection fit for the next request", async () => {
  const now = Date.now();
  const authority = await createAuthority(now);
  const tls = await issue({ authority, subject: { commonName: "host" }, names: ["127.0.0.1"], days: 1, now });
  const busy = (): void => {
    const end = performance.now() + 3;
    while (performance.now() < end);
  };
  const handle = async (request: ApiRequest): Promise<ApiResponse> => {
    await request.body();
    // A commit resolves two turns of the event loop later, when other work is due.
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    setImmediate(busy);
    return { status: 201, headers: {}, body: new Uint8Array(100_000) };
  };
  const links = createLinks(silentLog, systemClock);
  const host = await serve({ server: { handle } as never, links, log: silentLog, bind: "127.0.0.1", port: 0, tls });
  const worker = new Worker(client, { eval: true, workerData: host.port });
  const [seen] = await once(worker, "message");
  await worker.terminate();
  await host.close();
  expect(seen).toEqual({ 100000: 100 });
});

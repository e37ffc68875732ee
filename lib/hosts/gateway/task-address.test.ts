import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { type Log, silentLog } from "#base";
import { taskAddress } from "./task-address.ts";

async function asked(answer: RequestListener): Promise<{ address: string | undefined; warnings: unknown[] }> {
  const server = createServer(answer);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const warnings: unknown[] = [];
  const log: Log = { ...silentLog, warn: (_, fields) => warnings.push(fields?.["error"]) };
  const address = await taskAddress(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v4/id`, log);
  server.close();
  return { address, warnings };
}

test("reads the task's address from ECS; it is unknown elsewhere", async () => {
  const networks = [{ NetworkMode: "awsvpc", IPv4Addresses: ["10.0.1.5"], AttachmentIndex: 0 }];
  expect(await asked((_, response) => response.end(JSON.stringify({ DockerId: "x", Networks: networks })))).toEqual({
    address: "10.0.1.5",
    warnings: [],
  });
  expect(await taskAddress(undefined, silentLog)).toBeUndefined();
});

test("repeats a failed request, and logs that no address was found", async () => {
  let tries = 0;
  const second = await asked((_, response) => {
    if (++tries === 1) return void response.writeHead(500).end();
    response.end(JSON.stringify({ Networks: [{}, { IPv4Addresses: ["10.0.1.6"] }] }));
  });
  expect(second).toEqual({ address: "10.0.1.6", warnings: [] });
  expect(await asked((_, response) => response.end('{"Networks":[]}'))).toEqual({
    address: undefined,
    warnings: ["the metadata has no address"],
  });
  const nonsense = await asked((_, response) => response.end('{"Networks":[{"IPv4Addresses":["10.0.1.6/x"]}]}'));
  expect(nonsense.address).toBeUndefined();
});

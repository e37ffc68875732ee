import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { type Log, silentLog } from "#base";
import { ownAddress } from "./address.ts";

async function asked(answer: RequestListener): Promise<{ address: string | undefined; warnings: unknown[] }> {
  const server = createServer(answer);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const warnings: unknown[] = [];
  const log: Log = { ...silentLog, warn: (_, fields) => warnings.push(fields?.["error"]) };
  const address = await ownAddress(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v4/id`, log);
  server.close();
  return { address, warnings };
}

test("the task's address is what ECS says, and unknown elsewhere", async () => {
  const networks = [{ NetworkMode: "awsvpc", IPv4Addresses: ["10.0.1.5"], AttachmentIndex: 0 }];
  expect(await asked((_, response) => response.end(JSON.stringify({ DockerId: "x", Networks: networks })))).toEqual({
    address: "10.0.1.5",
    warnings: [],
  });
  expect(await ownAddress(undefined, silentLog)).toBeUndefined();
});

test("an answer that fails once is asked for again; one that never comes is told", async () => {
  let tries = 0;
  const second = await asked((_, response) => {
    if (++tries === 1) return void response.writeHead(500).end();
    response.end(JSON.stringify({ Networks: [{}, { IPv4Addresses: ["10.0.1.6"] }] }));
  });
  expect(second).toEqual({ address: "10.0.1.6", warnings: [] });
  expect(await asked((_, response) => response.end('{"Networks":[]}'))).toEqual({
    address: undefined,
    warnings: ["it names no address"],
  });
  const nonsense = await asked((_, response) => response.end('{"Networks":[{"IPv4Addresses":["10.0.1.6/x"]}]}'));
  expect(nonsense.address).toBeUndefined();
});

import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { expect, test } from "vitest";
import { changesBetween, proxyPortsOf } from "./model.ts";
import { boundPorts, occupiedPorts } from "./occupied.ts";
import { service } from "./testing/objects.ts";

test("reads listening sockets from the kernel's file, without those of the loopback and connections", () => {
  const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
  const rest = "00000000:00000000 00:00000000 00000000     0        0 1 1 0000000000000000 100 0 0 10 0";
  const text = [
    head,
    `   0: 00000000:7531 00000000:0000 0A ${rest}`,
    `   1: 0100007F:7532 00000000:0000 0A ${rest}`,
    `   2: 010200C0:7533 020200C0:0050 01 ${rest}`,
    `   3: 00000000000000000000000000000000:7534 00000000000000000000000000000000:0000 0A ${rest}`,
    `   4: 00000000000000000000000001000000:7535 00000000000000000000000000000000:0000 0A ${rest}`,
    "",
  ].join("\n");
  expect([...boundPorts(text, "TCP")]).toEqual([0x7531, 0x7534]);
});

test("a node port that a process of the machine uses is found once, when it is new", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
  const { port: nodePort } = server.address() as AddressInfo;
  const spec = { type: "NodePort", ports: [{ port: 80, protocol: "TCP", nodePort }] };
  const ports = proxyPortsOf(service(spec), [], { name: "here", zone: "" }, { family: "IPv4" });
  const udp = ports.map((port) => ({ ...port, protocol: "UDP" as const }));
  expect(await occupiedPorts(changesBetween([], ports))).toEqual([
    { service: "default/web", nodePort, protocol: "TCP" },
  ]);
  const later = ports.map((port) => ({ ...port, affinitySeconds: 1 }));
  expect(await occupiedPorts(changesBetween(ports, later))).toEqual([]);
  expect(await occupiedPorts(changesBetween([], udp))).toEqual([]);
  server.close();
});

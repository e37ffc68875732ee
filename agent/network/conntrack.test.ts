import { expect, test } from "vitest";
import { type Flow, parseFlows, staleFlows } from "./conntrack.ts";
import { proxyPortsOf } from "./model.ts";
import { service, slice } from "./testing/objects.ts";

const node = { name: "here", zone: "" };
const udp = (spec: object, endpoints: string[]) =>
  proxyPortsOf(
    service({ ports: [{ port: 53, protocol: "UDP", nodePort: 30053 }], type: "NodePort", ...spec }),
    [slice(endpoints, { ports: [{ name: "", port: 5353, protocol: "UDP" }] })],
    node,
    { family: "IPv4" },
  );

// Lines as Linux 6.18 and conntrack 1.4.7 print them.
test("reads flows of UDP from the kernel's file and from conntrack", () => {
  const translated =
    "src=10.244.0.2 dst=10.96.0.10 sport=41000 dport=53 src=10.244.0.5 dst=10.244.0.2 sport=5353 dport=41000";
  const text = [
    `ipv4     2 udp      17 29 ${translated} mark=0 zone=0 use=2`,
    `udp      17 29 ${translated.replace("src=10.244.0.5", "[UNREPLIED] src=10.244.0.5")} mark=0 use=1`,
    "ipv4     2 tcp      6 119 TIME_WAIT src=127.0.0.1 dst=127.0.0.1 sport=1 dport=2 src=127.0.0.1 dst=127.0.0.1 sport=2 dport=1 [ASSURED] mark=0",
    "",
  ].join("\n");
  const flow: Flow = { destination: "10.96.0.10", destinationPort: 53, endpoint: "10.244.0.5", endpointPort: 5353 };
  expect(parseFlows(text)).toEqual([flow, flow]);
});

// Rows: CleanStaleEntries of v1.37.2.
test("flows to endpoints that no longer serve are stale", () => {
  const flow = (destination: string, destinationPort: number, endpoint: string, endpointPort = 5353): Flow => ({
    destination,
    destinationPort,
    endpoint,
    endpointPort,
  });
  const flows = [
    flow("10.96.0.10", 53, "10.244.0.5"),
    flow("10.96.0.10", 53, "10.244.0.6"),
    flow("10.96.0.10", 53, "10.244.0.7"),
    flow("10.96.0.10", 54, "10.244.0.7"),
    flow("192.0.2.7", 53, "10.244.0.7"),
    flow("192.0.2.1", 30053, "10.244.0.7"),
    // Not translated: sent to the address before the service had an endpoint.
    flow("10.96.0.10", 53, "10.96.0.10", 53),
  ];
  const spec = { externalIPs: ["192.0.2.7"] };
  const stale = (endpoints: string[]) =>
    staleFlows(flows, udp(spec, endpoints)).map((each) => `${each.destination} ${each.endpoint}`);
  // The second one is terminating and still serves.
  expect(stale(["10.244.0.5", "10.244.0.6 t"])).toEqual([
    "10.96.0.10 10.244.0.7",
    "192.0.2.7 10.244.0.7",
    "192.0.2.1 10.244.0.7",
    "10.96.0.10 10.96.0.10",
  ]);
  // Without endpoints, a node port may be that of another host.
  expect(stale([])).toEqual([
    "10.96.0.10 10.244.0.5",
    "10.96.0.10 10.244.0.6",
    "10.96.0.10 10.244.0.7",
    "192.0.2.7 10.244.0.7",
    "10.96.0.10 10.96.0.10",
  ]);
});

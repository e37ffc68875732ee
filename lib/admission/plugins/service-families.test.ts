import { afterAll, beforeAll, expect, test } from "vitest";
import { openCluster, type TestCluster } from "#test/cluster";

/* Seen on v1.37.2 with `--service-cluster-ip-range 10.96.0.0/16`: services of one family. */

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await openCluster();
});
afterAll(() => cluster.close());

const services = "/api/v1/namespaces/default/services";
const both = ["IPv4", "IPv6"];

test.each([
  [{}, ["IPv4", "IPv6"], "RequireDualStack"],
  [{ ipFamilyPolicy: "SingleStack" }, ["IPv4"], "SingleStack"],
  [{ ipFamilyPolicy: "PreferDualStack" }, ["IPv4", "IPv6"], "PreferDualStack"],
  [{ ipFamilies: ["IPv6"] }, ["IPv6", "IPv4"], "RequireDualStack"],
  [{ selector: { a: "b" } }, ["IPv4"], "SingleStack"],
  [{ selector: { a: "b" }, ipFamilyPolicy: "PreferDualStack" }, ["IPv4"], "PreferDualStack"],
])("a headless service of %j has the families %j", async (spec, families, policy) => {
  const service = { metadata: { name: "h" }, spec: { clusterIP: "None", ...spec } };
  const made = await cluster.ask("POST", `${services}?dryRun=All`, service);
  expect([made.status, made.json.spec.ipFamilies, made.json.spec.ipFamilyPolicy]).toEqual([201, families, policy]);
});

const release = "must be 'SingleStack' to release the secondary IP family";
const pair = "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified";
const alone = "this cluster is not configured for dual-stack services";

test.each([
  [
    { clusterIP: "fd00::1" },
    ['spec.clusterIPs[0]: Invalid value: ["fd00::1"]: IPv6 is not configured on this cluster'],
  ],
  [
    { clusterIP: "10.96.3.3", clusterIPs: ["10.96.3.3", "fd00::1"] },
    [
      "spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified",
      'spec.clusterIPs[1]: Invalid value: ["10.96.3.3","fd00::1"]: IPv6 is not configured on this cluster',
    ],
  ],
  [{ ipFamilies: both }, [`spec.ipFamilyPolicy: Invalid value: "SingleStack": ${pair}`]],
  [{ ipFamilyPolicy: "RequireDualStack" }, [`spec.ipFamilyPolicy: Invalid value: "RequireDualStack": ${alone}`]],
  [
    { ipFamilyPolicy: "RequireDualStack", ipFamilies: both },
    [
      `spec.ipFamilyPolicy: Invalid value: "RequireDualStack": ${alone}`,
      'spec.ipFamilies[1]: Invalid value: "IPv6": not configured on this cluster',
    ],
  ],
])("a service of %j is refused", async (spec, expected) => {
  const service = { metadata: { name: "s" }, spec: { ports: [{ port: 80 }], ...spec } };
  expect(await refusedBy(cluster.ask("POST", `${services}?dryRun=All`, service))).toEqual(expected);
});

/** What a headless service without a selector becomes, by what it was and what changes: families and policy, or errors. */
test.each([
  [{}, { ipFamilies: ["IPv4"] }, [`spec.ipFamilyPolicy: Invalid value: "RequireDualStack": ${release}`]],
  [{}, { ipFamilies: ["IPv6"] }, [`spec.ipFamilyPolicy: Invalid value: "RequireDualStack": ${release}`]],
  [{}, { ipFamilies: ["IPv4"], ipFamilyPolicy: "SingleStack" }, [["IPv4"], "SingleStack"]],
  [{}, { ipFamilyPolicy: "SingleStack" }, [["IPv4"], "SingleStack"]],
  [{}, { ipFamilyPolicy: "PreferDualStack" }, [both, "PreferDualStack"]],
  [{}, { ipFamilies: null, ipFamilyPolicy: null }, [both, "RequireDualStack"]],
  [{ ipFamilies: ["IPv6"] }, { ipFamilyPolicy: "SingleStack" }, [["IPv6"], "SingleStack"]],
  [
    {},
    { selector: { x: "y" } },
    [
      `spec.ipFamilyPolicy: Invalid value: "RequireDualStack": ${alone}`,
      'spec.ipFamilies[1]: Invalid value: "IPv6": not configured on this cluster',
    ],
  ],
  // A service that prefers both families keeps both, whatever else changes.
  [{ ipFamilyPolicy: "PreferDualStack" }, { selector: { x: "y" } }, [both, "PreferDualStack"]],
  [
    { ipFamilyPolicy: "SingleStack" },
    { ipFamilies: both },
    [`spec.ipFamilyPolicy: Invalid value: "SingleStack": ${pair}`],
  ],
  [
    {},
    { clusterIPs: ["None", "None"] },
    [`spec.clusterIPs: Invalid value: ["None","None"]: 'None' must be the first and only value`],
  ],
])("a free headless service of %j that becomes %j", async (spec, change, expected) => {
  await cluster.ask("DELETE", `${services}/free`);
  await cluster.ask("POST", services, { metadata: { name: "free" }, spec: { clusterIP: "None", ...spec } });
  const patch = { "content-type": "application/merge-patch+json" };
  const changed = cluster.ask("PATCH", `${services}/free?dryRun=All`, { spec: change }, patch);
  expect((await refusedBy(changed)) ?? (await familiesOf(changed))).toEqual(expected);
});

async function familiesOf(asked: ReturnType<TestCluster["ask"]>): Promise<unknown[]> {
  const { spec } = (await asked).json;
  return [spec.ipFamilies, spec.ipFamilyPolicy];
}

async function refusedBy(asked: ReturnType<TestCluster["ask"]>): Promise<string[] | undefined> {
  const { status, json } = await asked;
  if (status !== 422) return undefined;
  return json.details.causes.map(({ field, message }: { field: string; message: string }) => `${field}: ${message}`);
}

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { events, type Node, nodes, type Service, services } from "#api";
import { isReason } from "#base";
import { type HttpClient, httpClient } from "#client";
import { readTemplates } from "#infra";
import { builtOnce } from "./built-once.ts";
import { ann, tokenFor, whoIs } from "./principals.ts";
import { type Built, openStage, type Stage } from "./stage.ts";

/*
 * Services of type LoadBalancer and routes to pods through the bundles, against stand-ins for ELBv2 and EC2.
 */

let built: Built;
let stage: Stage;
let client: HttpClient;
const lines: string[] = [];
const namespace = "default";
const polling = { timeout: 90_000, interval: 250 };

beforeAll(async () => {
  built = builtOnce();
  stage = await openStage({
    built,
    whoIs,
    output: (name, line) => lines.push(`${name} ${line}`),
  });
  await stage.deploy();
  client = httpClient({ server: stage.url, ca: stage.ca, token: await tokenFor(ann, stage.clusterId) });
}, 120_000);

afterAll(async () => {
  client?.close();
  await stage?.stop();
});

const state = () => stage.network.state;
/** An instance, and the node that its agent would register. */
async function addNode(): Promise<string> {
  const name = stage.network.addInstance();
  const now = new Date().toISOString().replace(/\.\d+Z$/, "Z");
  const ready = { type: "Ready", status: "True", reason: "KubeletReady", lastTransitionTime: now };
  await client.create(nodes, {
    metadata: { name },
    status: { conditions: [{ ...ready, lastHeartbeatTime: now }] },
  } as Node);
  return name;
}
const read = (name: string): Promise<Service | undefined> =>
  client.get(services, { namespace, name }).catch((error: unknown) => {
    if (isReason(error, "NotFound")) return undefined;
    throw error;
  });
const web = (name: string, more: object = {}, annotations: Record<string, string> = {}) =>
  client.create(services, {
    metadata: { namespace, name, annotations },
    spec: { type: "LoadBalancer", selector: { app: name }, ports: [{ port: 80 }], ...more },
  } as Service);
const hostname = async (name: string) => (await read(name))?.status?.loadBalancer?.ingress?.[0]?.hostname;
const reasonsOf = async (name: string) =>
  (await client.list(events, { namespace })).items
    .filter(({ involvedObject }) => involvedObject?.name === name)
    .map(({ reason }) => reason);
const settling = async <T>(what: () => Promise<T>): Promise<T> => {
  stage.network.settle();
  return what();
};

describe("routes", () => {
  test("every instance gets a route for its pods in the cluster's table, and forwards packets", async () => {
    const names = [await addNode(), await addNode()];
    for (const name of names) {
      const condition = async () => {
        const { status } = await client.get(nodes, { name });
        return status?.conditions?.find(({ type }) => type === "NetworkUnavailable");
      };
      await expect.poll(condition, polling).toMatchObject({ status: "False", reason: "RouteCreated" });
      const { spec } = await client.get(nodes, { name });
      expect([...state().routes.values()].map((table) => table.get(spec?.podCIDR ?? ""))).toEqual([name]);
      expect(state().instances.get(name)?.check).toBe(false);
    }
  });

  test("deleting a node deletes its route", async () => {
    const name = await addNode();
    const leads = () => [...state().routes.values()].some((table) => [...table.values()].includes(name));
    await expect.poll(leads, polling).toBe(true);
    stage.network.removeInstance(name);
    await client.delete(nodes, { name });
    await expect.poll(leads, polling).toBe(false);
    expect([...state().routes.values()].map(({ size }) => size)).toEqual([2]);
  });
});

describe("a service of type LoadBalancer", () => {
  test("gets a network load balancer, with the instances as targets, and its host name", async () => {
    const service = await web("web", { loadBalancerSourceRanges: ["192.0.2.0/24"] });
    await expect.poll(() => state().listeners.length, polling).toBe(1);
    expect(await hostname("web")).toBeUndefined();
    const name = `${state().balancers[0]?.input.Name}-`;
    await expect.poll(() => settling(() => hostname("web")), polling).toMatch(new RegExp(`^${name}.*amazonaws.com$`));
    const [group] = state().groups;
    expect(group?.input.Port).toBe(String(service.spec?.ports?.[0]?.nodePort));
    expect([...group!.targets.keys()].sort()).toEqual(
      [...state().instances.values()].filter(({ running }) => running).map(({ id }) => id),
    );
    expect([...state().securityGroups[1]!.rules]).toEqual(["tcp/80-80/192.0.2.0/24"]);
    await expect
      .poll(() => reasonsOf("web"), polling)
      .toEqual(expect.arrayContaining(["EnsuringLoadBalancer", "EnsuredLoadBalancer"]));
  });

  test("a new node receives traffic; changes are applied", async () => {
    const name = await addNode();
    await expect.poll(() => state().groups[0]?.targets.get(name), polling).toBe("initial");
    const ports = [{ port: 443, name: "tls" }];
    await client.patch(services, { namespace, name: "web" }, { spec: { ports } }, { type: "merge" });
    await expect.poll(() => state().listeners.map(({ input }) => input.Port), polling).toEqual(["443"]);
  });

  test("an unknown annotation is refused by name", async () => {
    const annotation = "service.beta.kubernetes.io/aws-load-balancer-ssl-cert";
    await web("tls", {}, { [annotation]: "arn:aws:acm:eu-west-1:123456789012:certificate/1" });
    const current = async () =>
      (await client.list(events, { namespace })).items.find(({ reason }) => reason === "SyncLoadBalancerFailed")
        ?.message;
    await expect
      .poll(current, polling)
      .toBe(`Error syncing load balancer: failed to ensure load balancer: annotation ${annotation} is not supported`);
    await client.delete(services, { namespace, name: "tls" });
    await expect.poll(() => read("tls"), polling).toBeUndefined();
  });

  test("is deleted with all parts of its load balancer", async () => {
    await client.delete(services, { namespace, name: "web" });
    await expect.poll(() => settling(() => read("web")), polling).toBeUndefined();
    const { balancers, groups, listeners, securityGroups } = state();
    expect([balancers, groups, listeners].map(({ length }) => length)).toEqual([0, 0, 0]);
    expect(securityGroups.map(({ tags }) => Object.keys(tags).length)).toEqual([0]);
  });
});

test("the function may make every call that it made, and needs nearly all of its permissions", () => {
  const roles = Object.values(readTemplates(built.assembly)).flatMap(({ Resources }) =>
    Object.entries(Resources).filter(([id, { Type }]) => Type === "AWS::IAM::Role" && id.startsWith("ReconcileRole")),
  );
  const text = JSON.stringify(roles.map(([, { Properties }]) => Properties));
  const may = new Set(
    [...text.matchAll(/"(?:ec2|elasticloadbalancing):((?!CreateAction)[A-Z]\w+)"/g)].map(([, action]) => action!),
  );
  const used = new Set(stage.network.calls.actions);
  expect([...used].filter((action) => !may.has(action))).toEqual([]);
  // Used with a creation only; called by AWS itself; used only when more is changed than here.
  const others = ["AddTags", "CreateTags", "ModifyLoadBalancerAttributes", "SetSubnets", "ModifyTargetGroup"];
  const looks = ["AccountAttributes", "Addresses", "InternetGateways", "Subnets", "Vpcs"].map(
    (name) => `Describe${name}`,
  );
  const rest = ["ModifyTargetGroupAttributes", "ModifyListener", "DeregisterTargets", "ReplaceRoute"];
  expect([...may].filter((action) => !used.has(action)).sort()).toEqual(
    [...others, ...looks, "GetSecurityGroupsForVpc", ...rest].sort(),
  );
  expect(lines.filter((line) => /AccessDenied|UnauthorizedOperation|is not played here/.test(line))).toEqual([]);
});

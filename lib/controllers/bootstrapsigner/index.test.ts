import { afterEach, beforeEach, expect, test } from "vitest";
import { configMaps, secrets } from "#api";
import { ignoreNotFound } from "#base";
import { openCluster, type TestCluster } from "#test/cluster";

/*
 * Right values: k8s.io/cluster-bootstrap v0.37.2 (token/jws, util/secrets), kube-controller-manager v1.37.2
 * (pkg/controller/bootstrap) and kube-apiserver v1.37.2 (plugin/pkg/auth/authenticator/token/bootstrap).
 */

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await openCluster();
});
afterEach(() => cluster.close());

const start = Date.parse("2030-01-01T00:00:00Z");
const content = "apiVersion: v1\nkind: Config\n";
const at = { namespace: "kube-public", name: "cluster-info" };

const makeToken = (id: string, more: Record<string, string> = {}, name = `bootstrap-token-${id}`) =>
  cluster.client.create(secrets, {
    metadata: { namespace: "kube-system", name },
    type: "bootstrap.kubernetes.io/token",
    stringData: {
      "token-id": id,
      "token-secret": "0123456789abcdef",
      "usage-bootstrap-signing": "true",
      "usage-bootstrap-authentication": "true",
      ...more,
    },
  });
const describeCluster = () => cluster.client.create(configMaps, { metadata: at, data: { kubeconfig: content } });
const keys = async () => Object.keys((await cluster.client.get(configMaps, at)).data ?? {}).sort();
const time = (seconds: number) => `${new Date(start + seconds * 1000).toISOString().slice(0, 19)}Z`;

async function whoAmI(token: string) {
  const path = "/apis/authentication.k8s.io/v1/tokenreviews";
  return (await cluster.ask("POST", path, { spec: { token } })).json.status;
}

test("signs the description of the cluster by every token that may sign", async () => {
  await describeCluster();
  await makeToken("abcdef");
  await makeToken("unused", { "usage-bootstrap-signing": "no" });
  await makeToken("failed", { expiration: "tomorrow" });
  await makeToken("others", {}, "bootstrap-token-badone");
  await cluster.until(async () => (await keys()).length === 2);
  const { data } = await cluster.client.get(configMaps, at);
  // Seen of ComputeDetachedSignature(content, "abcdef", "0123456789abcdef").
  expect(data?.["jws-kubeconfig-abcdef"]).toBe(
    "eyJhbGciOiJIUzI1NiIsImtpZCI6ImFiY2RlZiJ9..vH_kT4yiol-nrAWgjfCYqvum5wsKETXe0S7OOp1VgnE",
  );
});

test("removes the signature of a token that is deleted, and signs a changed description again", async () => {
  await makeToken("abcdef");
  await makeToken("fedcba");
  await describeCluster();
  await cluster.until(async () => (await keys()).length === 3);
  const before = (await cluster.client.get(configMaps, at)).data?.["jws-kubeconfig-abcdef"];
  await cluster.client.delete(secrets, { namespace: "kube-system", name: "bootstrap-token-fedcba" });
  await cluster.until(async () => (await keys()).length === 2);
  await cluster.client.patch(configMaps, at, { data: { kubeconfig: "{}" } }, { type: "merge" });
  await cluster.until(async () => {
    const { data } = await cluster.client.get(configMaps, at);
    return data?.["jws-kubeconfig-abcdef"] !== before;
  });
});

test("deletes tokens when they expire, and keeps those that do not", async () => {
  await makeToken("limits", { expiration: time(3600) });
  await makeToken("always");
  const isThere = async (id: string) =>
    (await ignoreNotFound(cluster.client.get(secrets, { namespace: "kube-system", name: `bootstrap-token-${id}` }))) !==
    undefined;
  await cluster.pass(3_590_000);
  expect([await isThere("limits"), await isThere("always")]).toEqual([true, true]);
  await cluster.pass(10_000);
  expect([await isThere("limits"), await isThere("always")]).toEqual([false, true]);
});

test("authenticates a token with its groups", async () => {
  await makeToken("abcdef", { "auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token" });
  expect(await whoAmI("abcdef.0123456789abcdef")).toMatchObject({
    authenticated: true,
    user: {
      username: "system:bootstrap:abcdef",
      groups: ["system:bootstrappers", "system:bootstrappers:kubeadm:default-node-token", "system:authenticated"],
    },
  });
});

test.each([
  ["a wrong secret", {}, "abcdef.0123456789abcdee"],
  ["an unknown id", {}, "fedcba.0123456789abcdef"],
  ["an expired token", { expiration: time(-1) }, "abcdef.0123456789abcdef"],
  ["a malformed expiration", { expiration: "tomorrow" }, "abcdef.0123456789abcdef"],
  ["another use", { "usage-bootstrap-authentication": "false" }, "abcdef.0123456789abcdef"],
  ["a group outside of the bootstrappers", { "auth-extra-groups": "system:masters" }, "abcdef.0123456789abcdef"],
])("refuses %s", async (_name, more, token) => {
  const asleep = await openCluster({ asleep: true });
  const opened = cluster;
  cluster = asleep;
  try {
    await cluster.plane.bootstrap();
    await makeToken("abcdef", more);
    expect(await whoAmI(token)).not.toHaveProperty("authenticated");
  } finally {
    cluster = opened;
    await asleep.close();
  }
});

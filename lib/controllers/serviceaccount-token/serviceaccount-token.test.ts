import { afterEach, beforeEach, expect, test } from "vitest";
import { secrets, serviceAccounts } from "#api";
import { ignoreNotFound } from "#base";
import { openCluster, type TestCluster } from "#test/cluster";

/* Right values: kube-apiserver and kube-controller-manager v1.37.2 (pkg/serviceaccount/legacy.go, tokens_controller.go). */

const namespace = "default";
const name = "builder-token";
const path = `/api/v1/namespaces/${namespace}/secrets`;
let cluster: TestCluster;
beforeEach(async () => {
  cluster = await openCluster();
  await cluster.client.create(serviceAccounts, { metadata: { namespace, name: "builder" } });
});
afterEach(() => cluster.close());

const secretFor = (account: string, more: object = {}) => ({
  metadata: { name, annotations: { "kubernetes.io/service-account.name": account, ...more } },
  type: "kubernetes.io/service-account-token",
});
const make = (account = "builder", more: object = {}) => cluster.ask("POST", path, secretFor(account, more));
const text = (value: string): string => Buffer.from(value, "base64").toString();
const whoAmI = (token: string) =>
  cluster
    .ask("POST", "/apis/authentication.k8s.io/v1/tokenreviews", { spec: { token } })
    .then(({ json }) => json.status);
const isGone = async (at = name) =>
  (await ignoreNotFound(cluster.client.get(secrets, { namespace, name: at }))) === undefined;

test("fills a secret for a service account with a token that does not expire", async () => {
  const { json } = await make();
  const account = await cluster.client.get(serviceAccounts, { namespace, name: "builder" });
  expect(json.metadata.annotations["kubernetes.io/service-account.uid"]).toBe(account.metadata.uid);
  expect([text(json.data.namespace), text(json.data["ca.crt"])]).toEqual([namespace, "-----BEGIN CERTIFICATE-----\n"]);
  const token = text(json.data.token);
  const claims = JSON.parse(Buffer.from(token.split(".")[1]!, "base64url").toString());
  expect(claims).toEqual({
    iss: "kubernetes/serviceaccount",
    "kubernetes.io/serviceaccount/namespace": namespace,
    "kubernetes.io/serviceaccount/secret.name": name,
    "kubernetes.io/serviceaccount/service-account.name": "builder",
    "kubernetes.io/serviceaccount/service-account.uid": account.metadata.uid,
    sub: "system:serviceaccount:default:builder",
  });
  expect(await whoAmI(token)).toMatchObject({
    authenticated: true,
    user: {
      username: "system:serviceaccount:default:builder",
      uid: account.metadata.uid,
      groups: ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"],
    },
  });
  const used = await cluster.client.get(secrets, { namespace, name });
  expect(used.metadata.labels?.["kubernetes.io/legacy-token-last-used"]).toMatch(/^\d{4}-\d\d-\d\d$/);
});

test("accepts the token only while the secret contains it", async () => {
  const token = text((await make()).json.data.token);
  // A secret that loses its token gets a new one; the old one is invalid.
  await cluster.ask(
    "PATCH",
    `${path}/${name}`,
    { data: { token: null } },
    { "content-type": "application/merge-patch+json" },
  );
  const renewed = await cluster.client.get(secrets, { namespace, name });
  expect(renewed.data?.["token"]).toBeDefined();
  if (text(renewed.data!["token"]!) !== token) expect((await whoAmI(token)).authenticated).toBeUndefined();
  await cluster.client.delete(secrets, { namespace, name });
  expect((await whoAmI(token)).error).toContain("Token has been invalidated");
});

test("rejects a token that the API has not signed, although a secret contains it", async () => {
  const [head, body] = text((await make()).json.data.token).split(".");
  const forged = `${head}.${body}.${Buffer.from("forged").toString("base64url")}`;
  const data = { token: Buffer.from(forged).toString("base64") };
  await cluster.ask("PATCH", `${path}/${name}`, { data }, { "content-type": "application/merge-patch+json" });
  expect((await whoAmI(forged)).authenticated).toBeUndefined();
});

test("deletes secrets of a service account that does not exist or was replaced", async () => {
  await make("missing");
  await cluster.until(isGone);
  await make("builder", { "kubernetes.io/service-account.uid": "of-an-earlier-one" });
  await cluster.until(isGone);
  const token = text((await make()).json.data.token);
  await cluster.client.delete(serviceAccounts, { namespace, name: "builder" });
  await cluster.until(isGone);
  expect((await whoAmI(token)).authenticated).toBeUndefined();
});

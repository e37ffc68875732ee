import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { clusterRoleBindings, clusterRoles, type KubernetesObject, type PolicyRule, roleBindings, roles } from "#api";
import type { AccessContext, Kind } from "#api/meta";
import { notFound, systemClock } from "#base";
import type { Client } from "#client";
import { handClock } from "#test/make";
import type { Attributes, User } from "../../port.ts";
import { type Rbac, rbac } from "./rbac.ts";
import { view } from "./view.ts";

interface Rows {
  policy: Record<string, KubernetesObject[]>;
  /** The decisions of upstream's RBACAuthorizer (plugin/pkg/auth/authorizer/rbac/rbac.go, v1.36). */
  answers: { attributes: Attributes; allowed: boolean; reason: string }[];
  /** The results of upstream's ConfirmNoEscalation (pkg/registry/rbac/validation/rule.go). */
  grants: { user: User; namespace: string; rules: PolicyRule[]; refusal: string }[];
}
const rows = JSON.parse(readFileSync("test/golden/access.json", "utf8")) as Rows;
const members = new Map<Kind, string>([
  [clusterRoles as Kind, "clusterRoles"],
  [clusterRoleBindings as Kind, "clusterRoleBindings"],
  [roles as Kind, "roles"],
  [roleBindings as Kind, "roleBindings"],
]);

/** Roles and bindings of the rows, some of which no server would store. */
function rights(policy: Rows["policy"] = rows.policy): Rbac {
  const client = {
    list: async (kind: Kind) => ({ items: policy[members.get(kind)!] ?? [], revision: "1" }),
    get: async (kind: Kind, { namespace, name }: { namespace?: string; name: string }) => {
      const all = policy[members.get(kind)!] ?? [];
      const found = all.find(({ metadata }) => metadata.name === name && metadata.namespace === namespace);
      if (!found) throw notFound({ group: kind.group, resource: kind.plural }, name);
      return found;
    },
  } as unknown as Client;
  return rbac({ client: client, clock: systemClock, maxAge: 0, revision: async () => 1 });
}

const title = ({ user, verb, resource, path }: Attributes): string => {
  const what = resource && [resource.group, resource.plural, resource.subresource, resource.name].join("/");
  return `${user.name} [${user.groups}] ${verb} ${what ?? path} in ${resource?.namespace || "the cluster"}`;
};

test.each(rows.answers.map((row) => ({ ...row, title: title(row.attributes) })))(
  "$title",
  async ({ attributes, allowed, reason }) => {
    const decision = await rights().authorize(attributes);
    expect(decision?.allowed ?? false).toBe(allowed);
    expect(decision?.reason ?? "").toBe(reason);
  },
);

test.each(rows.grants)("$user.name hands out $rules in $namespace", async ({ user, namespace, rules, refusal }) => {
  const { rulesFor, rulesOf } = rights().rules;
  const context: AccessContext = {
    user,
    namespace,
    name: "",
    now: 0,
    authorize: async () => undefined,
    rulesFor,
    rulesOf,
    issueToken: () => Promise.reject(new Error("no test requests tokens")),
    reviewToken: async () => ({ error: "no token" }),
  };
  const written = roles.guard!({ metadata: { name: "given" }, rules }, undefined, context);
  if (refusal === "") await written;
  else await expect(written).rejects.toThrow(`roles.rbac.authorization.k8s.io "given" is forbidden: ${refusal}`);
});

test("there are rows of both kinds", () => {
  expect(rows.answers.filter(({ allowed }) => allowed).length).toBeGreaterThan(25);
  expect(rows.answers.filter(({ allowed }) => !allowed).length).toBeGreaterThan(25);
  expect(rows.grants.filter(({ refusal }) => refusal !== "").length).toBeGreaterThan(10);
});

test("lists the rules of a user, with the roles that were not found", async () => {
  const { rules } = rights();
  const found = await rules.rulesFor({ name: "joe", groups: ["dev"] }, "n");
  expect(found.rules.map(({ verbs }) => verbs.join())).toEqual(["get,list,watch", "create,delete", "get"]);
  expect(found).toMatchObject({ incomplete: false, error: "" });
  expect((await rules.rulesFor({ name: "joe", groups: ["dev"] }, "")).rules).toHaveLength(1);
  expect((await rules.rulesFor({ name: "joe2", groups: [] }, "n")).error).toBe(
    'role.rbac.authorization.k8s.io "none" not found',
  );
  expect(await rules.rulesOf({ kind: "Role", name: "writer" }, "m")).toHaveLength(1);
  await expect(rules.rulesOf({ kind: "Role", name: "none" }, "m")).rejects.toThrow(
    'roles.rbac.authorization.k8s.io "none" not found',
  );
});

test("rebuilds an index only when the log has changed, and repeats a load that began before the change", async () => {
  const clock = handClock();
  const lists: PromiseWithResolvers<{ items: KubernetesObject[]; revision: string }>[] = [];
  const list = () => {
    const next = Promise.withResolvers<{ items: KubernetesObject[]; revision: string }>();
    lists.push(next);
    return next.promise;
  };
  let head = 1;
  const client = { list } as unknown as Client;
  const look = view(
    { client: client, revision: async () => head, clock, maxAge: 0 },
    roles as Kind,
    (all) => all.length,
  );
  const give = (count: number, revision: number) =>
    lists.at(-1)!.resolve({ items: Array.from({ length: count }, () => ({ metadata: {} })), revision: `${revision}` });
  const settle = () => new Promise((resolve) => setImmediate(resolve));

  const first = look();
  await settle();
  head = 2;
  const second = look();
  await settle();
  expect(lists).toHaveLength(1);
  give(1, 1);
  await settle();
  expect(await first).toBe(1);
  expect(lists).toHaveLength(2);
  give(2, 2);
  expect(await second).toBe(2);
  expect(await look()).toBe(2);
  expect(lists).toHaveLength(2);
});

test("uses an older index where reads of the log have a cost", async () => {
  const clock = handClock();
  let looks = 0;
  const client = { list: async () => ({ items: [], revision: String(looks) }) } as unknown as Client;
  const revision = async () => ++looks;
  const look = view({ client: client, revision, clock, maxAge: 5000 }, roles as Kind, () => looks);
  expect(await look()).toBe(1);
  clock.move(4999);
  expect(await look()).toBe(1);
  clock.move(1);
  expect(await look()).toBe(2);
});

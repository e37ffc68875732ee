import { beforeAll, expect, test } from "vitest";
import { type Found, resources } from "./testing/found.ts";
import { least, most, type Synthesized, synthesize } from "./testing/index.ts";

/*
 * The order in which CloudFormation creates resources, and deletes them in reverse: a resource follows those that it
 * refers to or depends on. All others are concurrent.
 */

let large: Synthesized;
beforeAll(async () => {
  large = await synthesize(most);
}, 120_000);

/** The resources of its own stack that exist before a resource. */
function before({ templates }: Synthesized, { stack, id }: Found): Set<string> {
  const all = templates[stack]?.Resources ?? {};
  const found = new Set<string>();
  const visit = (value: unknown): void => {
    if (typeof value === "string") follow(value);
    else if (Array.isArray(value)) value.forEach(visit);
    else if (value && typeof value === "object") {
      for (const [key, inner] of Object.entries(value)) {
        if (key === "Ref") follow(inner);
        else if (key === "Fn::GetAtt") follow((inner as string[])[0] ?? "");
        else if (typeof inner === "object") visit(inner);
      }
    }
  };
  const follow = (name: string): void => {
    if (found.has(name) || !(name in all)) return;
    found.add(name);
    visit(all[name]?.Properties);
    visit(all[name]?.DependsOn ?? []);
  };
  visit(all[id]?.Properties);
  visit(all[id]?.DependsOn ?? []);
  return found;
}

const groups = (made: Synthesized) => resources(made, "AWS::AutoScaling::AutoScalingGroup");

test("instances are created after their network and permissions, and deleted before them", () => {
  const needed = resources(
    large,
    ...["AWS::EC2::VPCGatewayAttachment", "AWS::EC2::Route", "AWS::EC2::SubnetRouteTableAssociation"],
  );
  const rights = resources(large, "AWS::IAM::Policy").filter(({ id }) => id.startsWith("NodePolicy"));
  expect([needed.length, rights.length]).toEqual([4, 1]);
  expect(groups(large)).toHaveLength(3);
  for (const group of groups(large)) {
    const there = before(large, group);
    for (const { id } of [...needed, ...rights]) expect(there, group.id).toContain(id);
  }
});

test("in an adopted VPC they have their rights, too", async () => {
  const vpc = { id: "vpc-0123456789abcdef0", subnets: ["subnet-01234567"] };
  const made = await synthesize({ ...least, vpc, nodeGroups: [{ name: "a" }] });
  const [group] = groups(made);
  const [rights] = resources(made, "AWS::IAM::Policy").filter(({ id }) => id.startsWith("NodePolicy"));
  expect(before(made, group!)).toContain(rights?.id);
});

test("an ECS cluster outlives its instances", () => {
  const [cluster] = resources(large, "AWS::ECS::Cluster");
  const [hosts] = groups(large).filter(({ id }) => id.startsWith("Groupecs"));
  expect(before(large, hosts!)).toContain(cluster?.id);
});

test("an account's first ECS cluster can be created: it has no capacity providers", () => {
  const [cluster] = resources(large, "AWS::ECS::Cluster");
  expect(cluster?.Properties).not.toHaveProperty("CapacityProviders");
  for (const { Properties, id } of resources(large, "AWS::ECS::Service")) {
    expect(Properties["LaunchType"], id).toMatch(/^(FARGATE|EC2)$/);
  }
});

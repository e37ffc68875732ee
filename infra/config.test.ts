import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { longestCluster, parseConfig, readConfig } from "./config.ts";

const least = {
  cluster: "demo",
  region: "eu-west-1",
  administrator: "arn:aws:iam::123456789012:role/Administrator",
};

test("omitted fields have defaults", () => {
  expect(parseConfig(least, "test")).toMatchObject({ data: "keep", podCidr: "10.244.0.0/16", vpc: { zones: 2 } });
});

test("the example is understood", () => {
  const example = JSON.parse(readFileSync("infra/example.config.json", "utf8"));
  expect(parseConfig(example, "example").nodeGroups).toHaveLength(2);
});

const wrong: [string, object, string][] = [
  ["no administrator", { administrator: undefined }, "test: administrator: is missing"],
  [
    "the account's root",
    { administrator: "arn:aws:iam::1:root" },
    "test: administrator: must be the ARN of an IAM user",
  ],
  ["a cluster's name", { cluster: "Demo" }, "test: cluster: must be lower case letters"],
  ["a long name", { cluster: "c".repeat(longestCluster + 1) }, "test: cluster: must have at most 40 characters"],
  ["an unknown field", { nodes: 3 }, "test: nodes: unknown field"],
  ["an unknown inner field", { vpc: { nat: true } }, "test: vpc.nat: unknown field"],
  [
    "a group",
    { nodeGroups: [{ name: "a" }, { name: "b", minimum: 9 }] },
    "test: nodeGroups.1.minimum: must not be above",
  ],
  ["two groups", { nodeGroups: [{ name: "a" }, { name: "a" }] }, "test: nodeGroups.1.name: is taken"],
  [
    "a type of the other architecture",
    { nodeGroups: [{ name: "a", instanceTypes: ["t4g.small", "t3.small"] }] },
    "test: nodeGroups.0.instanceTypes.1: t3.small is not arm64",
  ],
  ["subnets that are missing", { vpc: { id: "vpc-01234567" } }, "test: vpc.subnets: must name the subnets"],
  ["subnets of nowhere", { vpc: { subnets: ["subnet-01234567"] } }, "test: vpc.id: must name the VPC"],
  ["blocks that overlap", { vpc: { cidr: "10.0.0.0/8" } }, "test: vpc.cidr: overlaps podCidr"],
  ["days", { retention: { pods: 31 } }, "test: retention.pods: must be one of 1, 3"],
  ["memory of an unknown function", { memory: { cron: 512 } }, "test: memory"],
];

test.each(wrong)("%s is refused by the field's name", (_name, given, message) => {
  expect(() => parseConfig({ ...least, ...given }, "test")).toThrow(message);
});

test("context on the command line overrides single fields of the file", () => {
  const context = (given: Record<string, string>) => (key: string) => given[key];
  const file = { config: "infra/example.config.json" };
  expect(readConfig(context({ ...file, cluster: "other", data: "delete" }))).toMatchObject({
    cluster: "other",
    data: "delete",
    tags: { team: "platform" },
  });
  expect(() => readConfig(context({ config: "nowhere.json" }))).toThrow("nowhere.json: not found");
  expect(readConfig(context(least))).toMatchObject({ cluster: "demo" });
});

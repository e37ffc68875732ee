import { expect, test } from "vitest";
import type { PodTemplateSpec } from "#api";
import { templateHash } from "./template-hash.ts";

const containers = [{ name: "main", image: "example.com/web:1" }];
const template = { metadata: { labels: { app: "wéb" } }, spec: { containers } } as unknown as PodTemplateSpec;

// ReplicaSets of every version have these values in their names: another value would roll all pods.
test("templateHash keeps its values across versions", () => {
  expect(templateHash(template, undefined)).toBe("7cbd8d4866");
  expect(templateHash(template, 3)).toBe("ccdfd9b59");
});

test("templateHash ignores the order of members", () => {
  const { metadata, spec } = template;
  expect(templateHash({ spec, metadata } as PodTemplateSpec, undefined)).toBe("7cbd8d4866");
});

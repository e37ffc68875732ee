import { expect, test } from "vitest";
import type { Deployment, ReplicaSet } from "#api";
import { revisionOf, setAnnotations } from "./annotations.ts";

const key = "deployment.kubernetes.io/revision";
const history = "deployment.kubernetes.io/revision-history";
const deployment = { metadata: { name: "web", annotations: { team: "a" } } } as unknown as Deployment;
const setWith = (annotations: Record<string, string>): ReplicaSet => ({ metadata: { annotations } }) as ReplicaSet;

// SetNewReplicaSetAnnotations (pkg/controller/deployment/util, v1.37.2): revisions are int64.
test("does not change a set whose revision is not a number", () => {
  expect(revisionOf(setWith({ [key]: "x" }))).toBe(0n);
  expect(setAnnotations(deployment, setWith({ [key]: "x" }), 2n)).toBe(false);
});

test("assigns a set the newer revision, and records its former revisions", () => {
  const set = setWith({ [key]: "1" });
  expect(setAnnotations(deployment, set, 3n)).toBe(true);
  expect(set.metadata.annotations).toEqual({ [key]: "3", [history]: "1", team: "a" });
  expect(setAnnotations(deployment, set, 2n)).toBe(false);
  expect(set.metadata.annotations).toEqual({ [key]: "3", [history]: "1", team: "a" });
});

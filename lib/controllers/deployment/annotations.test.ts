import { expect, test } from "vitest";
import type { Deployment, ReplicaSet } from "#api";
import { nextRevision, setAnnotations } from "./annotations.ts";

const key = "deployment.kubernetes.io/revision";
const history = "deployment.kubernetes.io/revision-history";
const deployment = { metadata: { name: "web", annotations: { team: "a" } } } as unknown as Deployment;
const setWith = (annotations: Record<string, string>): ReplicaSet => ({ metadata: { annotations } }) as ReplicaSet;

// MaxRevision and SetNewReplicaSetAnnotations (pkg/controller/deployment/util, v1.37.2): revisions are int64.
test("a revision keeps all its digits", () => {
  // The one that upstream's test of rolling updates gives to the set that is adopted.
  const sets = [setWith({ [key]: "3546343826724305832" }), setWith({ [key]: "7" }), setWith({})];
  expect(nextRevision(sets)).toBe(3546343826724305833n);
  expect(nextRevision([])).toBe(1n);
});

test("a revision that is no number counts for nothing, and its set is left alone", () => {
  expect(nextRevision([setWith({ [key]: "x" }), setWith({ [key]: "9223372036854775808" })])).toBe(1n);
  expect(setAnnotations(deployment, setWith({ [key]: "x" }), 2n)).toBe(false);
});

test("a set gets the newer revision, and a history of those that it had", () => {
  const set = setWith({ [key]: "1" });
  expect(setAnnotations(deployment, set, 3n)).toBe(true);
  expect(set.metadata.annotations).toEqual({ [key]: "3", [history]: "1", team: "a" });
  expect(setAnnotations(deployment, set, 2n)).toBe(false);
  expect(set.metadata.annotations).toEqual({ [key]: "3", [history]: "1", team: "a" });
});

import { expect, test } from "vitest";
import type { AuditEvent } from "#apiserver";
import { isRoutine } from "./audit.ts";

const event = (verb: string, resource: string, code: number, group: string) =>
  ({ verb, user: { groups: [group] }, objectRef: { resource }, responseStatus: { code } }) as unknown as AuditEvent;

test.each([
  ["a node's watch of pods", event("watch", "pods", 200, "system:nodes"), true],
  ["a node's status", event("patch", "pods", 200, "system:nodes"), false],
  ["what a node may not", event("list", "pods", 403, "system:nodes"), false],
  ["a node's look at a secret", event("get", "secrets", 200, "system:nodes"), false],
  ["a person's look", event("get", "pods", 200, "developers"), false],
])("%s", (_name, told, expected) => expect(isRoutine(told)).toBe(expected));

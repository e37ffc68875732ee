import { expect, test } from "vitest";
import { type Deployment, deployments, type PodTemplateSpec } from "#api";
import { ApiError } from "#base";
import type { ControllerContext } from "#reconcile";
import { createPod, podFromTemplate, slowStart } from "./pod-control.ts";

const owner = (name: string): Deployment => ({ metadata: { name, namespace: "default", uid: "u" } }) as Deployment;
const template = {
  metadata: { labels: { app: "web" }, annotations: { note: "1" }, finalizers: ["x/y"] },
  spec: { containers: [{ name: "main" }] },
} as unknown as PodTemplateSpec;

// GetPodFromTemplate (pkg/controller/controller_utils.go, v1.37.2).
test("podFromTemplate copies the template and names its controller", () => {
  const pod = podFromTemplate({ kind: deployments, owner: owner("web") }, template);
  expect(pod.metadata).toEqual({
    generateName: "web-",
    namespace: "default",
    ...template.metadata,
    ownerReferences: [
      { apiVersion: "apps/v1", kind: "Deployment", name: "web", uid: "u", controller: true, blockOwnerDeletion: true },
    ],
  });
  expect(pod.spec).toEqual(template.spec);
  expect(pod.spec).not.toBe(template.spec);
  expect(pod.metadata.labels).not.toBe(template.metadata?.labels);
});

test("podFromTemplate uses the given name or prefix", () => {
  const by = { kind: deployments, owner: owner("web") };
  expect(podFromTemplate(by, template, { name: "web-0" }).metadata).toMatchObject({ name: "web-0" });
  expect(podFromTemplate(by, template, { name: "web-0" }).metadata).not.toHaveProperty("generateName");
  expect(podFromTemplate(by, template, { generateName: "web-0-" }).metadata.generateName).toBe("web-0-");
});

// getPodsPrefix: a prefix must be a valid name without its last dash.
test("podFromTemplate leaves out the dash after a name of 253 characters", () => {
  const prefix = (length: number) =>
    podFromTemplate({ kind: deployments, owner: owner("a".repeat(length)) }, template).metadata.generateName;
  expect(prefix(252)).toBe(`${"a".repeat(252)}-`);
  expect(prefix(253)).toBe("a".repeat(253));
});

/** The result of createPod, and the events that it records, where the API refuses with `error`. */
async function refusedWith(error: ApiError): Promise<{ result: unknown; events: string[] }> {
  const events: string[] = [];
  const context = {
    client: { create: () => Promise.reject(error) },
    record: (_about: unknown, type: string, reason: string, message: string) =>
      events.push(`${type} ${reason} ${message}`),
  } as unknown as ControllerContext;
  const result = await createPod({ context, kind: deployments, owner: owner("web") }, template).catch(
    (thrown: unknown) => thrown,
  );
  return { result, events };
}

// RealPodControl.createPods: HasStatusCause, not the text.
test("createPod resolves with undefined in a namespace that is being deleted, whatever the message", async () => {
  const causes = [{ reason: "NamespaceTerminating", field: "metadata.namespace" }];
  const terminating = new ApiError(403, "Forbidden", "no new content", { causes });
  expect(await refusedWith(terminating)).toEqual({ result: undefined, events: [] });
  const other = new ApiError(403, "Forbidden", "because it is being terminated");
  expect(await refusedWith(other)).toEqual({
    result: other,
    events: ["Warning FailedCreate Error creating: because it is being terminated"],
  });
});

test("slowStart doubles its batches and starts none after a failure", async () => {
  const started: number[] = [];
  const step = async (index: number) => {
    started.push(index);
    if (index === 4) throw new Error("refused");
  };
  expect(await slowStart(20, step)).toEqual({ done: 6, error: new Error("refused") });
  expect(started).toEqual([0, 1, 2, 3, 4, 5, 6]);
  expect(await slowStart(3, step)).toEqual({ done: 3 });
});

import { expect, test } from "vitest";
import { ApiError, conflict, forbidden, hasCause, ignoreNotFound, ignoreReasons, notFound } from "#base";

const pods = { group: "", resource: "pods" };

test("hasCause finds a cause by its reason, not by the error's text", () => {
  const causes = [{ reason: "Other" }, { reason: "NamespaceTerminating", field: "metadata.namespace" }];
  expect(hasCause(new ApiError(403, "Forbidden", "no", { causes }), "NamespaceTerminating")).toBe(true);
  expect(hasCause(new ApiError(403, "Forbidden", "NamespaceTerminating"), "NamespaceTerminating")).toBe(false);
  expect(hasCause(new Error("NamespaceTerminating"), "NamespaceTerminating")).toBe(false);
});

test("ignoreReasons resolves with undefined for the given reasons and rejects with every other error", async () => {
  expect(await ignoreReasons(["NotFound"], Promise.resolve(7))).toBe(7);
  const ignored = ["NotFound", "Conflict"];
  expect(await ignoreReasons(ignored, Promise.reject(conflict(pods, "a", "changed")))).toBeUndefined();
  await expect(ignoreReasons(ignored, Promise.reject(forbidden(pods, "a", "no")))).rejects.toThrow("is forbidden");
  await expect(ignoreReasons(ignored, Promise.reject(new Error("NotFound")))).rejects.toThrow("NotFound");
});

test("ignoreNotFound resolves with undefined for an object that does not exist", async () => {
  expect(await ignoreNotFound(Promise.reject(notFound(pods, "a")))).toBeUndefined();
  await expect(ignoreNotFound(Promise.reject(conflict(pods, "a", "changed")))).rejects.toThrow("changed");
});

import { expect, test } from "vitest";
import type { Pod } from "#api";
import { loggedRun } from "./logged-run.ts";

const pod = (status: object): Pod =>
  ({
    metadata: { name: "web", namespace: "default" },
    status: { containerStatuses: [{ name: "main", restartCount: 0, ...status }] },
  }) as unknown as Pod;
const ended = (containerID?: string) => ({ terminated: { exitCode: 1, ...(containerID ? { containerID } : {}) } });
const waiting = (reason?: string) => ({ waiting: reason === undefined ? {} : { reason } });
const is = 'container "main" in pod "web" is';

// Each row is a case of upstream's switch in validateContainerLogStatus, v1.37.2.
test.each([
  ["running", { state: { running: {} }, containerID: "r://1", lastState: ended("r://0") }, false, "state r://1"],
  ["terminated", { state: ended("r://1"), containerID: "r://1" }, false, "state r://1"],
  ["terminated without a container", { state: ended(), lastState: ended("r://0") }, false, "lastState r://0"],
  ["terminated that never ran", { state: ended() }, false, `${is} terminated`],
  [
    "waiting for its next run",
    { state: waiting("CrashLoopBackOff"), lastState: ended("r://0") },
    false,
    "lastState r://0",
  ],
  ["waiting, and could not be located before", { state: waiting("x"), lastState: ended() }, false, `${is} terminated`],
  ["ErrImagePull", { state: waiting("ErrImagePull") }, false, `${is} waiting to start: image can't be pulled`],
  [
    "ImagePullBackOff",
    { state: waiting("ImagePullBackOff") },
    false,
    `${is} waiting to start: trying and failing to pull image`,
  ],
  ...["ErrImageNeverPull", "InvalidImageName", "CreateContainerError", "CreateContainerConfigError"].map(
    (reason) => [reason, { state: waiting(reason) }, false, `${is} waiting to start: ${reason}`] as const,
  ),
  ["no state at all", {}, false, `${is} waiting to start - no logs yet`],
  ["previous", { state: { running: {} }, containerID: "r://1", lastState: ended("r://0") }, true, "lastState r://0"],
  [
    "previous that is none",
    { state: ended("r://0") },
    true,
    'previous terminated container "main" in pod "web" not found',
  ],
] as const)("the log of a container that is %s", (_, status, previous, expected) => {
  const answer = (): string => {
    try {
      const run = loggedRun(pod(status), "main", previous);
      return `${run.in} ${run.containerID}`;
    } catch (error) {
      expect(error).toMatchObject({ code: 400 });
      return (error as Error).message;
    }
  };
  expect(answer()).toBe(expected);
});

test("rejects a container without a status", () => {
  expect(() => loggedRun(pod({}), "other", false)).toThrow('container "other" in pod "web" is not available');
});

import { expect, test } from "vitest";
import type { NodeRequest } from "#api/meta";
import { decodeNodeRequest, encodeNodeRequest, logStart } from "./index.ts";

const pod = { namespace: "default", name: "web" };
const noStreams = { stdin: false, stdout: false, stderr: false, tty: false };
const all = { follow: false, previous: false, timestamps: false };

// The paths of the kubelet's server (pkg/kubelet/server/server.go, v1.37.2).
test.each<[string, NodeRequest]>([
  [
    "/containerLogs/default/web/app?follow=true&tailLines=5",
    { type: "logs", pod, container: "app", options: { ...all, follow: true, tailLines: 5 } },
  ],
  [
    "/containerLogs/default/web/app?previous=true&limitBytes=0&sinceTime=2026-01-02T03%3A04%3A05%2B01%3A00",
    {
      type: "logs",
      pod,
      container: "app",
      options: { ...all, previous: true, limitBytes: 0, sinceTime: "2026-01-02T03:04:05+01:00" },
    },
  ],
  [
    "/exec/default/web/app?input=1&output=1&command=ls&command=-l&command=%25+%26",
    {
      type: "exec",
      pod,
      container: "app",
      streams: { ...noStreams, stdin: true, stdout: true },
      command: ["ls", "-l", "% &"],
    },
  ],
  [
    "/attach/default/web/app?error=1&tty=1",
    { type: "attach", pod, container: "app", streams: { ...noStreams, stderr: true, tty: true } },
  ],
  ["/portForward/default/web?port=80%2C81", { type: "portForward", pod, ports: [80, 81] }],
  ["/portForward/default/web", { type: "portForward", pod, ports: [] }],
  ["/dial/default/web/10.0.0.1/80", { type: "dial", pod, address: "10.0.0.1", port: 80 }],
  ["/dial/default/web/fd00%3A%3A1/80", { type: "dial", pod, address: "fd00::1", port: 80 }],
  ["/configz", { type: "configz" }],
  ["/pods", { type: "pods" }],
  ["/runningpods/", { type: "runningPods" }],
  ["/healthz", { type: "healthz" }],
  ["/logs/", { type: "nodeLogs", path: "" }],
  ["/logs/pods/a%20b.log", { type: "nodeLogs", path: "pods/a b.log" }],
  ["/metrics", { type: "metrics" }],
  ["/stats/summary", { type: "statsSummary" }],
])("%s", (path, request) => {
  expect(encodeNodeRequest(request)).toBe(path);
  expect(decodeNodeRequest(path)).toEqual(request);
});

test("returns undefined for other paths", () => {
  const paths = [
    "",
    "/",
    "/exec",
    "/exec/default/web",
    "/exec/default/web/app/x",
    "/run/default/web/app",
    "/dial/default/web/10.0.0.1",
    "/dial/default/web/10.0.0.1/x",
    "/dial/default/web/10.0.0.1/80/x",
    "/%zz/a/b/c",
  ];
  for (const path of paths) expect([path, decodeNodeRequest(path)]).toEqual([path, undefined]);
});

test("computes the start of a log from a time or from seconds", () => {
  const now = Date.parse("2026-01-02T03:04:05Z");
  expect(logStart(all, now)).toBeUndefined();
  expect(logStart({ ...all, sinceSeconds: 5 }, now)).toBe(now - 5000);
  expect(logStart({ ...all, sinceTime: "2026-01-02T03:04:00Z" }, now)).toBe(now - 5000);
  expect(logStart({ ...all, sinceTime: "yesterday" }, now)).toBeUndefined();
});

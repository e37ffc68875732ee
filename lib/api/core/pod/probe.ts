import type * as z from "zod";
import { int32, int64, intOrString, list, message, optional, required, string } from "../../meta/index.ts";
import { signals } from "./signals.ts";

export const ExecAction = message("io.k8s.api.core.v1.ExecAction", () => ({
  command: optional(1, list(string), "Program and arguments; no shell is involved.", { list: "atomic" }),
}));
export type ExecAction = z.infer<typeof ExecAction>;

export const HTTPHeader = message("io.k8s.api.core.v1.HTTPHeader", () => ({
  name: required(1, string, "Name of the header."),
  value: required(2, string, "Its value."),
}));
export type HTTPHeader = z.infer<typeof HTTPHeader>;

export const HTTPGetAction = message("io.k8s.api.core.v1.HTTPGetAction", () => ({
  path: optional(1, string, "Path of the request.", { default: "/" }),
  port: required(2, intOrString, "The port, by number or by name."),
  host: optional(3, string, "The host; the pod's address when absent."),
  scheme: optional(4, string, "HTTP or HTTPS.", { default: "HTTP", values: ["HTTP", "HTTPS"] }),
  httpHeaders: optional(5, list(HTTPHeader), "Headers to send.", { list: "atomic" }),
  protocol: optional(6, string, "The version of HTTP.", { isPointer: true, gated: true, values: ["HTTP1", "HTTP2"] }),
}));
export type HTTPGetAction = z.infer<typeof HTTPGetAction>;

export const TCPSocketAction = message("io.k8s.api.core.v1.TCPSocketAction", () => ({
  port: required(1, intOrString, "The port, by number or by name."),
  host: optional(2, string, "The host; the pod's address when absent."),
}));
export type TCPSocketAction = z.infer<typeof TCPSocketAction>;

export const GRPCAction = message("io.k8s.api.core.v1.GRPCAction", () => ({
  port: required(1, int32, "Number of the port."),
  service: optional(2, string, "Name of the service in the health request.", { default: "", isPointer: true }),
  mode: optional(3, string, "Whether the connection is encrypted.", {
    isPointer: true,
    gated: true,
    values: ["Plaintext", "TLS"],
  }),
}));
export type GRPCAction = z.infer<typeof GRPCAction>;

export const SleepAction = message("io.k8s.api.core.v1.SleepAction", () => ({
  seconds: required(1, int64, "How long to wait."),
}));
export type SleepAction = z.infer<typeof SleepAction>;

export const LifecycleHandler = message("io.k8s.api.core.v1.LifecycleHandler", () => ({
  exec: optional(1, ExecAction, "Runs a program in the container."),
  httpGet: optional(2, HTTPGetAction, "Sends an HTTP request."),
  tcpSocket: optional(3, TCPSocketAction, "No longer used."),
  sleep: optional(4, SleepAction, "Waits."),
}));
export type LifecycleHandler = z.infer<typeof LifecycleHandler>;

export const Lifecycle = message("io.k8s.api.core.v1.Lifecycle", () => ({
  postStart: optional(1, LifecycleHandler, "Runs right after the container has started."),
  preStop: optional(2, LifecycleHandler, "Runs before the container receives its stop signal."),
  stopSignal: optional(3, string, "The stop signal of the container.", { isPointer: true, values: signals }),
}));
export type Lifecycle = z.infer<typeof Lifecycle>;

const probePlace = { field: "handler", n: 1, message: "io.k8s.api.core.v1.ProbeHandler" };

export const Probe = message("io.k8s.api.core.v1.Probe", () => ({
  initialDelaySeconds: optional(2, int32, "Delay of the first probe after the start of the container."),
  timeoutSeconds: optional(3, int32, "Timeout of a probe."),
  periodSeconds: optional(4, int32, "How often to probe."),
  successThreshold: optional(5, int32, "Consecutive successes after which a failed probe succeeds."),
  failureThreshold: optional(6, int32, "Consecutive failures after which the probe fails."),
  terminationGracePeriodSeconds: optional(7, int64, "Grace period of the pod when this probe fails.", {
    isPointer: true,
  }),
  exec: optional(1, ExecAction, "Runs a program; success is exit code 0.", { proto: probePlace }),
  httpGet: optional(2, HTTPGetAction, "Sends an HTTP request; success is a status from 200 to 399.", {
    proto: probePlace,
  }),
  tcpSocket: optional(3, TCPSocketAction, "Opens a connection.", { proto: probePlace }),
  grpc: optional(4, GRPCAction, "Queries the gRPC health service.", { proto: probePlace }),
}));
export type Probe = z.infer<typeof Probe>;

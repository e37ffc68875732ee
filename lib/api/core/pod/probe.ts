import type * as z from "zod";
import { int32, int64, intOrString, list, message, optional, required, string } from "../../meta/index.ts";

export const ExecAction = message("io.k8s.api.core.v1.ExecAction", () => ({
  command: optional(1, list(string), undefined, { list: "atomic" }),
}));
export type ExecAction = z.infer<typeof ExecAction>;

export const HTTPHeader = message("io.k8s.api.core.v1.HTTPHeader", () => ({
  name: required(1, string),
  value: required(2, string),
}));
export type HTTPHeader = z.infer<typeof HTTPHeader>;

export const HTTPGetAction = message("io.k8s.api.core.v1.HTTPGetAction", () => ({
  path: optional(1, string, undefined, { default: "/" }),
  port: required(2, intOrString),
  host: optional(3, string),
  scheme: optional(4, string, undefined, { default: "HTTP" }),
  httpHeaders: optional(5, list(HTTPHeader), undefined, { list: "atomic" }),
}));
export type HTTPGetAction = z.infer<typeof HTTPGetAction>;

export const TCPSocketAction = message("io.k8s.api.core.v1.TCPSocketAction", () => ({
  port: required(1, intOrString),
  host: optional(2, string),
}));
export type TCPSocketAction = z.infer<typeof TCPSocketAction>;

export const GRPCAction = message("io.k8s.api.core.v1.GRPCAction", () => ({
  port: required(1, int32),
  service: optional(2, string, undefined, { default: "" }),
}));
export type GRPCAction = z.infer<typeof GRPCAction>;

export const SleepAction = message("io.k8s.api.core.v1.SleepAction", () => ({
  seconds: required(1, int64),
}));
export type SleepAction = z.infer<typeof SleepAction>;

export const LifecycleHandler = message("io.k8s.api.core.v1.LifecycleHandler", () => ({
  exec: optional(1, ExecAction),
  httpGet: optional(2, HTTPGetAction),
  tcpSocket: optional(3, TCPSocketAction),
  sleep: optional(4, SleepAction),
}));
export type LifecycleHandler = z.infer<typeof LifecycleHandler>;

export const Lifecycle = message("io.k8s.api.core.v1.Lifecycle", () => ({
  postStart: optional(1, LifecycleHandler),
  preStop: optional(2, LifecycleHandler),
  stopSignal: optional(3, string),
}));
export type Lifecycle = z.infer<typeof Lifecycle>;

const probePlace = { field: "handler", n: 1, message: "io.k8s.api.core.v1.ProbeHandler" };

export const Probe = message("io.k8s.api.core.v1.Probe", () => ({
  initialDelaySeconds: optional(2, int32),
  timeoutSeconds: optional(3, int32),
  periodSeconds: optional(4, int32),
  successThreshold: optional(5, int32),
  failureThreshold: optional(6, int32),
  terminationGracePeriodSeconds: optional(7, int64),
  exec: optional(1, ExecAction, undefined, { proto: probePlace }),
  httpGet: optional(2, HTTPGetAction, undefined, { proto: probePlace }),
  tcpSocket: optional(3, TCPSocketAction, undefined, { proto: probePlace }),
  grpc: optional(4, GRPCAction, undefined, { proto: probePlace }),
}));
export type Probe = z.infer<typeof Probe>;

/** Rules for probes and lifecycle handlers. */
import {
  checkNonNegative,
  type FieldError,
  forbiddenValue,
  httpHeaderNameErrors,
  invalidAll,
  invalidValue,
  notSupported,
  portErrors,
  portNameErrors,
  requiredValue,
  requireText,
} from "../../meta/index.ts";
import type { Lifecycle, LifecycleHandler, Probe } from "./probe.ts";

/** A port by number or by name. */
export function validatePort(field: string, port: number | string | undefined): FieldError[] {
  if (typeof port === "string") return invalidAll(field, port, portNameErrors(port));
  return invalidAll(field, port ?? 0, portErrors(port ?? 0));
}

type Handler = Pick<Probe, "exec" | "httpGet" | "tcpSocket" | "grpc"> & Pick<LifecycleHandler, "sleep">;

function validateHandler(handler: Handler, grace: number | undefined, path: string): FieldError[] {
  const { exec, httpGet, tcpSocket, grpc, sleep } = handler;
  const found: [string, () => FieldError[]][] = [];
  if (exec) found.push(["exec", () => (exec.command?.length ? [] : [requiredValue(`${path}.exec.command`)])]);
  if (httpGet) found.push(["httpGet", () => validateHttpGet(httpGet, `${path}.httpGet`)]);
  if (tcpSocket) found.push(["tcpSocket", () => validatePort(`${path}.tcpSocket.port`, tcpSocket.port)]);
  if (grpc) found.push(["grpc", () => validatePort(`${path}.grpc.port`, grpc.port)]);
  if (sleep) found.push(["sleep", () => validateSleep(sleep.seconds, grace, `${path}.sleep`)]);
  if (found.length === 0) return [requiredValue(path, "must specify a handler type")];
  return found.flatMap(([name, check], index) =>
    index === 0 ? check() : [forbiddenValue(`${path}.${name}`, "may not specify more than 1 handler type")],
  );
}

function validateHttpGet(action: NonNullable<Probe["httpGet"]>, path: string): FieldError[] {
  const { port, scheme = "", httpHeaders = [] } = action;
  const errors = [...requireText(`${path}.path`, action.path), ...validatePort(`${path}.port`, port)];
  if (scheme !== "HTTP" && scheme !== "HTTPS") errors.push(notSupported(`${path}.scheme`, scheme, ["HTTP", "HTTPS"]));
  for (const { name = "" } of httpHeaders) {
    errors.push(...invalidAll(`${path}.httpHeaders`, name, httpHeaderNameErrors(name)));
  }
  return errors;
}

function validateSleep(seconds = 0, grace: number | undefined, path: string): FieldError[] {
  if (grace === undefined || (seconds >= 0 && seconds <= grace)) return [];
  const why = `must be non-negative and less than terminationGracePeriodSeconds (${grace})`;
  return [invalidValue(path, seconds, why)];
}

const counts = [
  "initialDelaySeconds",
  "timeoutSeconds",
  "periodSeconds",
  "successThreshold",
  "failureThreshold",
] as const;

export type ProbeName = "livenessProbe" | "readinessProbe" | "startupProbe";

/** A probe; liveness and startup succeed at once, readiness cannot set how long a pod has to end. */
export function validateProbe(
  probe: Probe | undefined,
  name: ProbeName,
  grace: number | undefined,
  path: string,
): FieldError[] {
  if (!probe) return [];
  const at = `${path}.${name}`;
  const errors = validateHandler(probe, grace, at);
  for (const count of counts) errors.push(...checkNonNegative(`${at}.${count}`, probe[count]));
  const field = `${at}.terminationGracePeriodSeconds`;
  const { terminationGracePeriodSeconds: own, successThreshold } = probe;
  if (own !== undefined && own <= 0) errors.push(invalidValue(field, own, "must be greater than 0"));
  if (name === "readinessProbe") {
    if (own !== undefined) errors.push(invalidValue(field, own, "must not be set for readinessProbes"));
  } else if (successThreshold !== 1) {
    errors.push(invalidValue(`${at}.successThreshold`, successThreshold ?? 0, "must be 1"));
  }
  return errors;
}

export function validateLifecycle(
  lifecycle: Lifecycle | undefined,
  grace: number | undefined,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  if (lifecycle?.postStart) errors.push(...validateHandler(lifecycle.postStart, grace, `${path}.postStart`));
  if (lifecycle?.preStop) errors.push(...validateHandler(lifecycle.preStop, grace, `${path}.preStop`));
  return errors;
}

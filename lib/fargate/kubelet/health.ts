import type { Container, Probe } from "#api";

/** A health check in ECS's form; times in seconds. */
export interface HealthCheck {
  command: string[];
  interval: number;
  timeout: number;
  retries: number;
  startPeriod: number;
}

const between = (least: number, most: number, value: number): number => Math.min(most, Math.max(least, value));

/** A container's probes, in the order of their precedence for the times of the health check. */
export const probesOf = ({ livenessProbe, startupProbe, readinessProbe }: Container): Probe[] =>
  [livenessProbe, startupProbe, readinessProbe].filter((probe) => probe !== undefined);

/**
 * The health check that replaces a container's exec probes, with times within ECS's bounds. Failures during the start
 * period do not count: it is as long as the startup probe would wait, or as the first probe's delay.
 */
export function healthCheckOf(container: Container): HealthCheck | undefined {
  const [probe] = probesOf(container);
  if (!probe?.exec?.command) return undefined;
  const { startupProbe } = container;
  const { initialDelaySeconds = 0, periodSeconds = 10, timeoutSeconds = 1, failureThreshold = 3 } = probe;
  const startSeconds = startupProbe
    ? (startupProbe.initialDelaySeconds ?? 0) +
      (startupProbe.failureThreshold ?? 3) * (startupProbe.periodSeconds ?? 10)
    : initialDelaySeconds;
  return {
    command: ["CMD", ...probe.exec.command],
    interval: between(5, 300, periodSeconds),
    timeout: between(2, 60, timeoutSeconds),
    retries: between(1, 10, failureThreshold),
    startPeriod: between(0, 300, startSeconds),
  };
}

/** Whether a container counts as up, or as ready, only when it is healthy. */
export const waitsForHealth = ({ startupProbe, readinessProbe }: Container): boolean =>
  startupProbe !== undefined || readinessProbe !== undefined;

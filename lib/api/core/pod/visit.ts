import type { Container } from "./container.ts";
import type { PodSpec } from "./spec.ts";

/** All containers of a pod with their paths: init containers, containers, ephemeral containers. */
export function* containersOf(spec: PodSpec, path = "spec"): Generator<[container: Container, path: string]> {
  for (const part of ["initContainers", "containers", "ephemeralContainers"] as const) {
    for (const [index, container] of (spec[part] ?? []).entries()) {
      yield [container as Container, `${path}.${part}[${index}]`];
    }
  }
}

/** Where Docker listens without other configuration. */
const standard = "/var/run/docker.sock";

/**
 * The socket that DOCKER_HOST names, as for the docker command; without it Docker's usual one. Throws an Error for an
 * engine on another machine, whose containers this node cannot reach.
 */
export function defaultSocket(environment: Readonly<Record<string, string | undefined>>): string {
  const host = environment["DOCKER_HOST"] ?? "";
  if (host === "") return standard;
  if (host.startsWith("unix://")) return host.slice("unix://".length);
  throw new Error(`DOCKER_HOST ${host} is not supported: the engine of this machine, as unix://PATH, is needed`);
}

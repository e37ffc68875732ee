import type { RegistryCredentials } from "#agent/runtime";
import { partitions, signatureV4 } from "#aws";
import { credentialsOf, type SignerOptions } from "#aws/request-signer";
import { abortable, type Clock, messageOf } from "#base";

/** `region` is the machine's own; registries have their region in their names. */
export interface RegistryOptions extends SignerOptions {
  /** `http://…`: replaces the endpoints of ECR. */
  endpoint?: string;
  clock: Clock;
}

/** The ECR of a registry. */
interface Registry {
  region: string;
  /** The host of the region's ECR. */
  api: string;
}

/** A registry's credentials, which are renewed from `staleAt` on, in milliseconds since the epoch. */
interface Token {
  credentials: RegistryCredentials;
  staleAt: number;
}

/** The domain of a partition's services, by each domain that its private registries have. */
const domains: ReadonlyMap<string, string> = new Map(
  partitions.flatMap(({ suffix, registrySuffix }) => [
    [suffix, suffix] as const,
    ...(registrySuffix === undefined ? [] : [[registrySuffix, suffix] as const]),
  ]),
);

/**
 * Host names of private registries in all partitions, as the kubelet's credential provider for ECR and ECR itself
 * define them.
 */
const privateHost = new RegExp(
  `^\\d{12}\\.dkr[.-]ecr(?<fips>-fips)?\\.(?<region>[a-z0-9][a-z0-9-]*)\\.(?<domain>${[...domains.keys()]
    .map((domain) => domain.replaceAll(".", "\\."))
    .join("|")})$`,
);

const target = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";
const body = "{}";
const timeoutMilliseconds = 10_000;

/**
 * Returns a function for the machine's credentials for an image: those that ECR issues to its role if the image's
 * registry is a private one of ECR, of any account; undefined for any other registry, including public.ecr.aws. Like
 * the kubelet's credential provider for ECR it caches them for half of their lifetime. Concurrent pulls share one
 * request; a failure is not cached. Rejects when ECR issues none, after ten seconds, and when the machine has no
 * credentials.
 */
export function registryCredentials(
  options: RegistryOptions,
): (reference: string) => Promise<RegistryCredentials | undefined> {
  const { clock, endpoint } = options;
  const machineCredentials = credentialsOf(options);
  const tokens = new Map<string, Token>();
  const pending = new Map<string, Promise<Token>>();

  const request = async ({ region, api }: Registry, signal: AbortSignal): Promise<Token> => {
    const url = new URL(endpoint ?? `https://${api}/`);
    const signer = signatureV4({ service: "ecr", region, credentials: machineCredentials });
    const { headers } = await signer.sign(
      {
        method: "POST",
        protocol: url.protocol,
        hostname: url.hostname,
        path: url.pathname,
        headers: { host: url.host, "content-type": "application/x-amz-json-1.1", "x-amz-target": target },
        body,
      },
      { signingDate: new Date(clock.now()) },
    );
    const answer = await fetch(url, { method: "POST", headers, body, redirect: "error", signal });
    return tokenOf(answer.status, await answer.text(), clock.now());
  };
  const requestToken = async (registry: Registry): Promise<Token> => {
    const stopping = new AbortController();
    const { signal } = stopping;
    const timer = clock.timer(timeoutMilliseconds, () => stopping.abort(new Error("no answer in time")));
    try {
      // The time limit includes the lookup of the machine's own credentials.
      const token = await abortable(request(registry, signal), signal);
      tokens.set(registry.api, token);
      return token;
    } catch (error) {
      throw new Error(`${registry.api}: ${messageOf(causeOf(error))}`, { cause: error });
    } finally {
      timer.cancel();
    }
  };

  return async (reference) => {
    const registry = registryOf(reference);
    if (!registry) return undefined;
    const { api } = registry;
    const known = tokens.get(api);
    if (known && clock.now() < known.staleAt) return known.credentials;
    const token = pending.get(api) ?? requestToken(registry).finally(() => pending.delete(api));
    pending.set(api, token);
    return (await token).credentials;
  };
}

/** Undefined for every other registry than a private one of ECR. */
function registryOf(reference: string): Registry | undefined {
  const [host = "", ...path] = reference.split("/");
  const { fips, region = "", domain = "" } = (path.length > 0 && privateHost.exec(host)?.groups) || {};
  if (region === "") return undefined;
  return { region, api: `${fips ? "ecr-fips" : "api.ecr"}.${region}.${domains.get(domain)}` };
}

/**
 * The token of ECR's answer at `now`. Throws an Error when it has none; only the message of a refusal is part of it.
 */
function tokenOf(status: number, text: string, now: number): Token {
  const answer = parse(text);
  if (status !== 200) {
    throw new Error([status, answer?.__type, answer?.message ?? answer?.Message].filter(Boolean).join(" "));
  }
  const { authorizationToken = "", expiresAt } = answer?.authorizationData?.[0] ?? {};
  const [username, ...password] = Buffer.from(authorizationToken, "base64").toString().split(":");
  if (!username || password.length === 0) throw new Error("an answer without a token");
  const lifetime = expiresAt === undefined ? 0 : Math.max(0, expiresAt * 1000 - now);
  return { credentials: { username, password: password.join(":") }, staleAt: now + lifetime / 2 };
}

/** An answer in AWS's JSON 1.1; times are in seconds. */
interface Answer {
  authorizationData?: { authorizationToken?: string; expiresAt?: number }[];
  __type?: string;
  message?: string;
  /** The spelling of AWS's front ends. */
  Message?: string;
}

function parse(text: string): Answer | undefined {
  try {
    return JSON.parse(text) as Answer;
  } catch {
    return undefined;
  }
}

/** The reason of a failed fetch is its cause. */
const causeOf = (error: unknown): unknown =>
  error instanceof TypeError && error.cause !== undefined ? error.cause : error;

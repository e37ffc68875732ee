import type { RegistryCredentials } from "#agent/runtime";
import { partitions, signatureV4 } from "#aws";
import { credentialsOf, type SignerOptions } from "#aws/request-signer";
import { abortable, type Clock, messageOf } from "#base";

/** `region` is the machine's own; registries' regions stand in their names. */
export interface RegistryOptions extends SignerOptions {
  /** `http://…`: asked instead of each region's ECR. */
  endpoint?: string;
  clock: Clock;
}

/** What ECR is asked for a registry. */
interface Registry {
  region: string;
  /** Where the region's ECR is. */
  api: string;
}

/** What a registry takes; it is asked for anew from `staleAt` on, in milliseconds. */
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

/** Names of private registries, of each partition, as kubelet's credential provider for ECR and ECR's own know them. */
const privateHost = new RegExp(
  `^\\d{12}\\.dkr[.-]ecr(?<fips>-fips)?\\.(?<region>[a-z0-9][a-z0-9-]*)\\.(?<domain>${[...domains.keys()]
    .map((domain) => domain.replaceAll(".", "\\."))
    .join("|")})$`,
);

const target = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";
const body = "{}";
const patience = 10_000;

/**
 * Says with which credentials the machine may pull an image: those that ECR gives its role, where the image's registry
 * is a private one of ECR, whatever the account; undefined for any other registry, public.ecr.aws too. Like kubelet's
 * credential provider for ECR it keeps them for half of their life. Pulls at the same time share one question; one that
 * fails is not remembered. Rejects when ECR gives none, in ten seconds, and when the machine has no credentials.
 */
export function registryCredentials(
  options: RegistryOptions,
): (reference: string) => Promise<RegistryCredentials | undefined> {
  const { clock, endpoint } = options;
  const own = credentialsOf(options);
  const tokens = new Map<string, Token>();
  const questions = new Map<string, Promise<Token>>();

  const ask = async ({ region, api }: Registry, signal: AbortSignal): Promise<Token> => {
    const url = new URL(endpoint ?? `https://${api}/`);
    const signer = signatureV4({ service: "ecr", region, credentials: own });
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
  const askInTime = async (registry: Registry): Promise<Token> => {
    const stopping = new AbortController();
    const { signal } = stopping;
    const timer = clock.timer(patience, () => stopping.abort(new Error("no answer in time")));
    try {
      // Neither does a machine wait for ever that looks for credentials of its own.
      const token = await abortable(ask(registry, signal), signal);
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
    const question = questions.get(api) ?? askInTime(registry).finally(() => questions.delete(api));
    questions.set(api, question);
    return (await question).credentials;
  };
}

/** Undefined where it is no private registry of ECR. */
function registryOf(reference: string): Registry | undefined {
  const [host = "", ...path] = reference.split("/");
  const { fips, region = "", domain = "" } = (path.length > 0 && privateHost.exec(host)?.groups) || {};
  if (region === "") return undefined;
  return { region, api: `${fips ? "ecr-fips" : "api.ecr"}.${region}.${domains.get(domain)}` };
}

/**
 * The token that ECR has answered with, at `now`. Throws when there is none; of an answer only a refusal's words are
 * shown.
 */
function tokenOf(status: number, text: string, now: number): Token {
  const answer = parse(text);
  if (status !== 200) {
    throw new Error([status, answer?.__type, answer?.message ?? answer?.Message].filter(Boolean).join(" "));
  }
  const { authorizationToken = "", expiresAt } = answer?.authorizationData?.[0] ?? {};
  const [username, ...password] = Buffer.from(authorizationToken, "base64").toString().split(":");
  if (!username || password.length === 0) throw new Error("an answer without a token");
  const left = expiresAt === undefined ? 0 : Math.max(0, expiresAt * 1000 - now);
  return { credentials: { username, password: password.join(":") }, staleAt: now + left / 2 };
}

/** An answer in AWS's JSON 1.1; times in seconds. */
interface Answer {
  authorizationData?: { authorizationToken?: string; expiresAt?: number }[];
  __type?: string;
  message?: string;
  /** What is in front of services spells it so. */
  Message?: string;
}

function parse(text: string): Answer | undefined {
  try {
    return JSON.parse(text) as Answer;
  } catch {
    return undefined;
  }
}

/** A fetch says only by its cause why it failed. */
const causeOf = (error: unknown): unknown =>
  error instanceof TypeError && error.cause !== undefined ? error.cause : error;

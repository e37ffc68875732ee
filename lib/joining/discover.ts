import { request } from "node:https";
import { parseCidr } from "#api/meta";
import { type Clock, messageOf, sleep } from "#base";
import {
  type BootstrapToken,
  clusterInfo,
  isSignature,
  keyHashOf,
  kubeconfigKey,
  networkExtension,
  signaturePrefix,
} from "#bootstrap-tokens";

export interface DiscoverOptions {
  /** Such as `https://10.0.0.1:6443`. */
  server: string;
  token: BootstrapToken;
  /** `sha256:` and the hash of the authority's public key. Without it the token's signature alone is trusted. */
  caHash?: string | undefined;
  clock: Clock;
}

/** A cluster as it describes itself. */
export interface Discovered {
  /** The certificate authority in PEM. */
  ca: string;
  /** The blocks of addresses of pods and services. */
  podCidr: string;
  serviceCidr: string;
}

/** A signature is written a moment after its token: so long it is waited for, in milliseconds. */
const signatureTimeout = 10_000;
const pause = 500;
const requestTimeout = 10_000;
/** A description of a cluster is far smaller. */
const longestAnswer = 1024 * 1024;

/**
 * Learns the certificate authority of a cluster from its signed description, without trusting the connection: the
 * description must be signed by the token's secret, and its authority have the given hash. Throws an Error with one
 * reason. Follows kubeadm's discovery (cmd/kubeadm/app/discovery/token).
 */
export async function discover({ server, token, caHash, clock }: DiscoverOptions): Promise<Discovered> {
  const url = new URL(`api/v1/namespaces/${clusterInfo.namespace}/configmaps/${clusterInfo.name}`, `${server}/`);
  const kubeconfig = await signedKubeconfig(url, token, clock);
  const found = clusterIn(kubeconfig);
  const { ca } = found;
  if (caHash === undefined) return found;
  const hash = keyHashOf(ca);
  if (hash !== caHash) {
    throw new Error(`the cluster's certificate authority is not that of --ca-hash: its hash is ${hash}`);
  }
  // Now that the authority is known, the same description must come over a verified connection.
  const { data } = await read(url, ca);
  if (data[kubeconfigKey] !== kubeconfig) {
    throw new Error("the description of the cluster differs over a verified connection");
  }
  return found;
}

async function signedKubeconfig(url: URL, token: BootstrapToken, clock: Clock): Promise<string> {
  const deadline = clock.now() + signatureTimeout;
  for (;;) {
    const { data } = await read(url, undefined);
    const kubeconfig = data[kubeconfigKey];
    if (kubeconfig === undefined)
      throw new Error(`${url.origin} does not describe its cluster: no machine can join it`);
    const signature = data[`${signaturePrefix}${token.id}`];
    if (signature !== undefined) {
      if (isSignature(signature, kubeconfig, token)) return kubeconfig;
      throw new Error(`the token ${token.id} has another secret in this cluster, or ${url.origin} is another cluster`);
    }
    if (clock.now() >= deadline) {
      const advice = "create one with skiff token create";
      throw new Error(`the token ${token.id} is not valid for this cluster or has expired: ${advice}`);
    }
    await sleep(clock, pause);
  }
}

interface DescribedCluster {
  "certificate-authority-data": string;
  extensions: { name: string; extension: Omit<Discovered, "ca"> }[];
}

function clusterIn(kubeconfig: string): Discovered {
  try {
    const { clusters } = JSON.parse(kubeconfig) as { clusters: { cluster: DescribedCluster }[] };
    const { "certificate-authority-data": data, extensions } = clusters[0]!.cluster;
    const { podCidr, serviceCidr } = extensions.find(({ name }) => name === networkExtension)!.extension;
    if (!parseCidr(podCidr) || !parseCidr(serviceCidr)) throw new Error("a block of addresses is malformed");
    return { ca: Buffer.from(data, "base64").toString(), podCidr, serviceCidr };
  } catch (error) {
    throw new Error(`the description of the cluster is malformed: ${messageOf(error)}`);
  }
}

/** Reads the ConfigMap as an anonymous user. Without `ca` the server's certificate is not verified. */
async function read(url: URL, ca: string | undefined): Promise<{ data: Record<string, string> }> {
  const { status, body } = await get(url, ca).catch((error: unknown) => {
    throw new Error(`the API server ${url.origin} cannot be reached: ${messageOf(error)}`);
  });
  const isKnown = status === 404 || status === 403 || status === 401;
  if (isKnown) throw new Error(`${url.origin} does not describe its cluster: no machine can join it`);
  if (status !== 200) throw new Error(`${url.origin} answers with status ${status}: is it a Kubernetes API server?`);
  try {
    const { data } = JSON.parse(body) as { data?: Record<string, string> };
    return { data: data ?? {} };
  } catch {
    throw new Error(`${url.origin} does not answer with JSON: is it a Kubernetes API server?`);
  }
}

function get(url: URL, ca: string | undefined): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const trust = ca === undefined ? { rejectUnauthorized: false } : { ca };
    const sent = request(url, { ...trust, agent: false, timeout: requestTimeout }, (answer) => {
      const chunks: Buffer[] = [];
      let length = 0;
      answer.on("data", (chunk: Buffer) => {
        length += chunk.length;
        if (length > longestAnswer) sent.destroy(new Error("the answer is too long"));
        else chunks.push(chunk);
      });
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString() }));
      answer.on("error", reject);
    });
    sent.on("timeout", () => sent.destroy(new Error("no answer within 10 s")));
    sent.on("error", reject);
    sent.end();
  });
}

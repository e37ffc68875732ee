import { readFileSync } from "node:fs";
import { join } from "node:path";
import { configMaps, type Secret, secrets } from "#api";
import { formatTime, ignoreNotFound, messageOf, systemClock, systemRandom } from "#base";
import {
  clusterInfo,
  expiryOf,
  formatToken,
  isTokenSecret,
  keyHashOf,
  kubeconfigKey,
  newToken,
  nodeGroup,
  parseToken,
  secretNameOf,
  textOf,
  tokenNamespace,
  tokenSecret,
} from "#bootstrap-tokens";
import { type Client, httpClient } from "#client";

export interface TokenCommand {
  dataDir: string;
}

export interface CreateOptions extends TokenCommand {
  /** Milliseconds; 0 for a token that does not expire. */
  ttl: number;
  description?: string;
}

export interface DeleteOptions extends TokenCommand {
  /** Tokens, or their ids. */
  tokens: readonly string[];
}

type Output = Pick<NodeJS.WriteStream, "write">;

/** Creates a token by which a machine can join, and prints the command for that. */
export const createToken = ({ dataDir, ttl, description }: CreateOptions, output: Output): Promise<number> =>
  withClient(dataDir, async (client) => {
    const { server, ca } = await clusterOf(client);
    const token = newToken(systemRandom);
    const expiry = ttl === 0 ? undefined : systemClock.now() + ttl;
    await client.create(secrets, tokenSecret({ token, expiry, description, groups: [nodeGroup] }));
    output.write(`skiff join --server ${server} --token ${formatToken(token)} --ca-hash ${keyHashOf(ca)}\n`);
    return 0;
  });

/** Prints the tokens. */
export const listTokens = ({ dataDir }: TokenCommand, output: Output): Promise<number> =>
  withClient(dataDir, async (client) => {
    const { items } = await client.list(secrets, { namespace: tokenNamespace });
    const rows = items.filter(isTokenSecret).map(rowOf);
    const table = [["TOKEN", "EXPIRES", "USAGES", "DESCRIPTION"], ...rows];
    const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
    for (const row of table)
      output.write(
        `${row
          .map((cell, at) => cell.padEnd(widths[at]! + 2))
          .join("")
          .trimEnd()}\n`,
      );
    return 0;
  });

/** Deletes tokens. */
export const deleteTokens = ({ dataDir, tokens }: DeleteOptions, output: Output): Promise<number> =>
  withClient(dataDir, async (client) => {
    for (const text of tokens) {
      const id = parseToken(text)?.id ?? text;
      if (!/^[a-z0-9]{6}$/.test(id)) throw new Error(`"${text}" is neither a token nor the id of one`);
      const name = { namespace: tokenNamespace, name: secretNameOf(id) };
      const found = await ignoreNotFound(client.get(secrets, name));
      if (!found) throw new Error(`there is no token with the id ${id}`);
      await ignoreNotFound(client.delete(secrets, name));
      output.write(`deleted the token ${id}\n`);
    }
    return 0;
  });

function rowOf(secret: Secret): string[] {
  const expiry = expiryOf(secret);
  const uses = ["authentication", "signing"].filter((use) => textOf(secret, `usage-bootstrap-${use}`) === "true");
  return [
    formatToken({ id: textOf(secret, "token-id"), secret: textOf(secret, "token-secret") }),
    expiry === undefined ? "<never>" : formatTime(expiry),
    uses.join(",") || "<none>",
    textOf(secret, "description") || "<none>",
  ];
}

/** The server's URL for other machines, and the certificate authority, as the cluster describes itself. */
async function clusterOf(client: Client): Promise<{ server: string; ca: string }> {
  const info = await ignoreNotFound(client.get(configMaps, clusterInfo));
  const text = info?.data?.[kubeconfigKey];
  if (text === undefined) {
    throw new Error("no other machine reaches this cluster: start it with skiff up --bind 0.0.0.0, or with an address");
  }
  return clusterIn(text);
}

/** The first cluster of a kubeconfig in JSON. */
function clusterIn(kubeconfig: string): { server: string; ca: string } {
  const { clusters } = JSON.parse(kubeconfig) as { clusters: { cluster: Record<string, string> }[] };
  const { server = "", "certificate-authority-data": ca = "" } = clusters[0]?.cluster ?? {};
  return { server, ca: fromBase64(ca) };
}

const fromBase64 = (text: string): string => Buffer.from(text, "base64").toString();

async function withClient<T>(dataDir: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = httpClient(administratorOf(dataDir));
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

function administratorOf(dataDir: string) {
  const path = join(dataDir, "kubeconfig");
  try {
    const text = readFileSync(path, "utf8");
    const { users } = JSON.parse(text) as { users: { user: Record<string, string> }[] };
    const { "client-certificate-data": cert = "", "client-key-data": key = "" } = users[0]?.user ?? {};
    return { ...clusterIn(text), certificate: { cert: fromBase64(cert), key: fromBase64(key) } };
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
    const why = isMissing ? `there is no cluster in ${dataDir} yet: start one with skiff up` : messageOf(error);
    throw new Error(isMissing ? why : `the kubeconfig ${path} cannot be read: ${why}`);
  }
}

import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";

export interface KubeconfigOptions {
  url: string;
  /** In PEM. */
  ca: string;
  token: string;
  clusterId: string | undefined;
}

const user = "skiff-proxy";

/** A kubeconfig with the token inside, as JSON, which every YAML reader takes. */
export function kubeconfigText({ url, ca, token, clusterId }: KubeconfigOptions): string {
  const name = ["skiff", clusterId?.split("/").at(-1)].filter(Boolean).join("-");
  const certificate = Buffer.from(ca).toString("base64");
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name, cluster: { server: url, "certificate-authority-data": certificate } }],
    users: [{ name: user, user: { token } }],
    contexts: [{ name, context: { cluster: name, user } }],
    "current-context": name,
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}

/** Throws an Error of one line when there is a file that this command has not written. */
export function mustBeOurs(path: string): void {
  if (!existsSync(path)) return;
  let users: unknown;
  try {
    ({ users } = JSON.parse(readFileSync(path, "utf8")) as { users?: unknown });
  } catch {
    users = undefined;
  }
  const isOurs = Array.isArray(users) && users.length === 1 && (users[0] as { name?: unknown })?.name === user;
  if (!isOurs) throw new Error(`--kubeconfig ${path}: there is a file already that is none of skiff proxy's`);
}

/** Writes it for its owner alone. */
export function writeKubeconfig(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

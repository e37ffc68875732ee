import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { kubeconfigText } from "#client";

export interface KubeconfigOptions {
  url: string;
  /** In PEM. */
  ca: string;
  token: string;
  clusterId: string | undefined;
}

const user = "skiff-proxy";

/** A kubeconfig with the token. */
export function proxyKubeconfig({ url, ca, token, clusterId }: KubeconfigOptions): string {
  const name = ["skiff", clusterId?.split("/").at(-1)].filter(Boolean).join("-");
  return kubeconfigText({ name, server: url, ca, user: { name: user, credentials: { token } } });
}

/** Throws an Error when the file exists and was not written by this command. */
export function mustBeOurs(path: string): void {
  if (!existsSync(path)) return;
  let users: unknown;
  try {
    ({ users } = JSON.parse(readFileSync(path, "utf8")) as { users?: unknown });
  } catch {
    users = undefined;
  }
  const isOurs = Array.isArray(users) && users.length === 1 && (users[0] as { name?: unknown })?.name === user;
  if (!isOurs) throw new Error(`--kubeconfig ${path}: the file exists and was not written by skiff proxy`);
}

/** Replaces the file in one step. Only its owner may read it. */
export function writeKubeconfig(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

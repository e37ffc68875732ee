export interface KubeconfigOptions {
  /** The name of the cluster and of the context. */
  name: string;
  server: string;
  /** The CA of the server's certificate, in PEM. */
  ca: string;
  /** The user's name, and its credentials as kubeconfig files have them, such as `token`. */
  user: { name: string; credentials: Readonly<Record<string, string>> };
}

/** A kubeconfig with one cluster and one user, as JSON, which every YAML parser reads. */
export function kubeconfigText({ name, server, ca, user }: KubeconfigOptions): string {
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name, cluster: { server, "certificate-authority-data": Buffer.from(ca).toString("base64") } }],
    users: [{ name: user.name, user: user.credentials }],
    contexts: [{ name, context: { cluster: name, user: user.name } }],
    "current-context": name,
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}

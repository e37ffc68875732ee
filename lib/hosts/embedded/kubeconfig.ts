import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import type { Certificate } from "#auth/certificates";
import { dataFolder, Refusal } from "./data-folder.ts";

/** A kubeconfig with the identity inside, as JSON, which every YAML reader takes. */
export function kubeconfigText(server: string, ca: string, { cert, key }: Certificate): string {
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "skiff", cluster: { server, "certificate-authority-data": base64(ca) } }],
    users: [{ name: "skiff-admin", user: { "client-certificate-data": base64(cert), "client-key-data": base64(key) } }],
    contexts: [{ name: "skiff", context: { cluster: "skiff", user: "skiff-admin" } }],
    "current-context": "skiff",
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}

export function writeKubeconfig(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** `skiff kubeconfig`: prints the administrator's kubeconfig. */
export async function kubeconfig({ dataDir }: { dataDir: string }): Promise<number> {
  const { kubeconfig: path, root } = dataFolder(dataDir);
  if (!existsSync(path)) throw new Refusal(`there is no cluster in ${root} yet: start one with skiff up`);
  process.stdout.write(readFileSync(path, "utf8"));
  return 0;
}

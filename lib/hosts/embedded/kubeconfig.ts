import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import type { Certificate } from "#auth/certificates";
import { kubeconfigText } from "#client";
import { dataFolder, Refusal } from "./data-folder.ts";

/** A kubeconfig with a client certificate. */
export function adminKubeconfig(server: string, ca: string, { cert, key }: Certificate): string {
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  const credentials = { "client-certificate-data": base64(cert), "client-key-data": base64(key) };
  return kubeconfigText({ name: "skiff", server, ca, user: { name: "skiff-admin", credentials } });
}

/** Replaces the file in one step. Only its owner may read it. */
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

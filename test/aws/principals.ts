import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Sha256 } from "@aws-crypto/sha256-js";
import { SignatureV4 } from "@smithy/signature-v4";

/** A principal with AWS keys; STS identifies it by the access key. */
export interface Person {
  accessKeyId: string;
  secretAccessKey: string;
}

export const region = "eu-west-1";
/** The access keys that the stand-in for STS knows, with their owners. */
export const ann: Person = { accessKeyId: "AKIAADMINISTRATOR000", secretAccessKey: "secret-of-ann" };
export const bob: Person = { accessKeyId: "AKIADEVELOPER0000000", secretAccessKey: "secret-of-bob" };
export const stranger: Person = { accessKeyId: "AKIASTRANGER00000000", secretAccessKey: "secret-of-a-stranger" };

/** The owner of an access key, as STS reports it. The administrator's role is the one of the deployment. */
export function whoIs(accessKey: string): { arn: string; secret: string } | undefined {
  const session = "arn:aws:sts::123456789012:assumed-role";
  if (accessKey === ann.accessKeyId) return { arn: `${session}/Administrator/ann`, secret: ann.secretAccessKey };
  if (accessKey === bob.accessKeyId) return { arn: `${session}/Developer/bob`, secret: bob.secretAccessKey };
  return undefined;
}

const clusterHeader = "x-k8s-aws-id";

/** A token in the form of `aws eks get-token`. */
export async function tokenFor(person: Person, clusterId: string, signingDate = new Date()): Promise<string> {
  const signer = new SignatureV4({ service: "sts", region, credentials: person, sha256: Sha256 });
  const hostname = `sts.${region}.amazonaws.com`;
  const { query = {} } = await signer.presign(
    {
      method: "GET",
      protocol: "https:",
      hostname,
      path: "/",
      query: { Action: "GetCallerIdentity", Version: "2011-06-15" },
      headers: { host: hostname, [clusterHeader]: clusterId },
    },
    { expiresIn: 60, signingDate, unhoistableHeaders: new Set([clusterHeader]) },
  );
  const url = new URL(`https://${hostname}/`);
  for (const [name, value] of Object.entries(query)) url.searchParams.append(name, String(value));
  return `k8s-aws-v1.${Buffer.from(url.href).toString("base64url")}`;
}

/** Whether the AWS CLI is here. */
export const hasAwsCli = (): boolean => spawnSync("aws", ["--version"]).status === 0;

export interface KubeconfigOptions {
  folder: string;
  server: string;
  ca: string;
  clusterId: string;
  person: Person;
}

/**
 * A kubeconfig as the deployment's output writes it: with `aws eks get-token` as exec plugin, or if the AWS CLI is not
 * installed with a script that prints a token of the same form.
 */
export async function writeKubeconfig({ folder, server, ca, clusterId, person }: KubeconfigOptions): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const env = [
    { name: "AWS_ACCESS_KEY_ID", value: person.accessKeyId },
    { name: "AWS_SECRET_ACCESS_KEY", value: person.secretAccessKey },
    { name: "AWS_REGION", value: region },
    { name: "AWS_STS_REGIONAL_ENDPOINTS", value: "regional" },
  ];
  let exec: { command: string; args: string[] } = {
    command: "aws",
    args: ["--region", region, "eks", "get-token", "--cluster-name", clusterId, "--output", "json"],
  };
  if (!hasAwsCli()) {
    const status = { token: await tokenFor(person, clusterId) };
    const credential = { apiVersion: "client.authentication.k8s.io/v1beta1", kind: "ExecCredential", status };
    const script = join(folder, "get-token");
    writeFileSync(script, `#!/bin/sh\ncat <<'END'\n${JSON.stringify(credential)}\nEND\n`);
    chmodSync(script, 0o755);
    exec = { command: script, args: [] };
  }
  const path = join(folder, "kubeconfig");
  const user = { exec: { apiVersion: "client.authentication.k8s.io/v1beta1", interactiveMode: "Never", env, ...exec } };
  writeFileSync(
    path,
    JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      "current-context": "skiff",
      clusters: [
        { name: "skiff", cluster: { server, "certificate-authority-data": Buffer.from(ca).toString("base64") } },
      ],
      users: [{ name: "person", user }],
      contexts: [{ name: "skiff", context: { cluster: "skiff", user: "person" } }],
    }),
  );
  return path;
}

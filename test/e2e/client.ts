import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Pod, pods } from "#api";
import { ignoreNotFound } from "#base";
import { type HttpClient, httpClient } from "#client";

/** The administrator's client of the cluster in a data folder. */
export function connect(dataDir: string): HttpClient {
  const read = (file: string) => readFileSync(join(dataDir, "pki", file), "utf8");
  const { server } = JSON.parse(readFileSync(join(dataDir, "running.json"), "utf8")) as { server: string };
  return httpClient({ server, ca: read("ca.crt"), certificate: { cert: read("admin.crt"), key: read("admin.key") } });
}

/** Retries until there is an answer. Throws when there is none in time. */
export async function until<T>(what: () => Promise<T | undefined | false>, seconds = 60): Promise<T> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = await what();
    if (found) return found;
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

export const isReady = ({ status }: Pod): boolean =>
  status?.phase === "Running" &&
  status.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True") === true;

/** Creates a pod as soon as its service account exists. */
export const createPod = (client: HttpClient, name: string, spec: object, annotations = {}): Promise<Pod> =>
  until(() =>
    client
      .create(pods, { metadata: { name, namespace: "default", annotations }, spec } as unknown as Pod)
      .catch((error: unknown) => {
        if (/service ?account/i.test(String(error))) return undefined;
        throw error;
      }),
  );

export const getPod = (client: HttpClient, name: string): Promise<Pod> =>
  client.get(pods, { namespace: "default", name });

/** Undefined when it does not exist. */
export const findPod = (client: HttpClient, name: string): Promise<Pod | undefined> =>
  ignoreNotFound(getPod(client, name));

export const readyPod = (client: HttpClient, name: string): Promise<Pod> =>
  until(async () => {
    const pod = await getPod(client, name);
    return isReady(pod) && pod;
  });

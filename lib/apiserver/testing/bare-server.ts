/** A server with nothing around it, for tests: no cache, no admission, no controllers, over a store that the test has. */
import { catalog } from "#api";
import { clientCertificates, discovery, masters, union } from "#auth";
import { silentLog, systemClock, systemRandom } from "#base";
import type { Store } from "#store";
import { apiServer } from "../api-server.ts";
import { createRegistry } from "../registry.ts";
import type { ApiResponse } from "../request.ts";
import type { Limits } from "../server.ts";

const version = {
  major: "1",
  minor: "36",
  gitVersion: "v1.36.0",
  gitCommit: "",
  gitTreeState: "",
  buildDate: "",
  goVersion: "",
  compiler: "",
  platform: "",
};

/** GETs as the administrator. */
export type Get = (
  path: string,
  query: string,
  more?: { headers?: Record<string, string>; signal?: AbortSignal },
) => Promise<ApiResponse>;

export function bareServer(store: Store, limits: Partial<Limits> = {}): Get {
  const server = apiServer({
    store,
    limits,
    registry: createRegistry(catalog),
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    version,
    authenticators: [clientCertificates],
    authorize: union(masters, discovery),
    admission: [],
  });
  return (path, query, { headers = {}, signal = new AbortController().signal } = {}) =>
    server.handle({
      method: "GET",
      path,
      query: new URLSearchParams(query),
      headers,
      body: async () => new Uint8Array(),
      signal,
      peer: { certificate: { commonName: "admin", organizations: ["system:masters"] } },
    });
}

/** A write that makes an object with nothing but metadata, under `default/<name>`. */
export const makes = (name: string, labels: Record<string, string> = {}) => ({
  type: "create" as const,
  key: `default/${name}`,
  schema: "",
  index: { uid: name, labels },
  body: (revision: number) =>
    Buffer.from(`{"metadata":{"resourceVersion":"${revision}","name":"${name}","namespace":"default"}}`),
});

import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { join } from "node:path";

/** A minimal client: bytes out, bytes in, TLS with an identity. */
export interface Wire {
  send(
    method: string,
    path: string,
    body?: string | Buffer,
    headers?: Record<string, string>,
  ): Promise<{ status: number; bytes: number; body: Buffer }>;
  /** Opens a watch and calls back with every chunk until it is closed. */
  watch(path: string, chunk: (chunk: Buffer) => void): Promise<() => void>;
  close(): void;
}

/** Connects to the cluster of a data folder as its administrator. */
export function connect(dataDir: string, sockets: number): Wire {
  const { server } = JSON.parse(readFileSync(join(dataDir, "running.json"), "utf8")) as { server: string };
  const read = (file: string) => readFileSync(join(dataDir, "pki", file), "utf8");
  const { hostname, port } = new URL(server);
  const tls = { ca: read("ca.crt"), cert: read("admin.crt"), key: read("admin.key") };
  const agent = new Agent({ keepAlive: true, maxSockets: sockets, ...tls });
  const watchers = new Agent({ keepAlive: false, ...tls });
  return {
    send: (method, path, body, headers = {}) =>
      new Promise((resolve, reject) => {
        const length =
          body === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
        const sent = request(
          { agent, hostname, port, method, path, headers: { accept: "application/json", ...length, ...headers } },
          (response) => {
            const chunks: Buffer[] = [];
            response.on("data", (chunk: Buffer) => chunks.push(chunk));
            response.on("end", () => {
              const all = Buffer.concat(chunks);
              const status = response.statusCode ?? 0;
              if (status >= 300) reject(new Error(`${method} ${path}: ${status} ${all.toString().slice(0, 300)}`));
              else resolve({ status, bytes: all.length, body: all });
            });
            response.on("error", reject);
          },
        );
        sent.on("error", reject);
        sent.end(body);
      }),
    watch: (path, chunk) =>
      new Promise((resolve, reject) => {
        const sent = request(
          { agent: watchers, hostname, port, method: "GET", path, headers: { accept: "application/json" } },
          (response) => {
            response.on("data", chunk);
            response.on("error", () => {});
            resolve(() => sent.destroy());
          },
        );
        sent.on("error", reject);
        sent.end();
      }),
    close() {
      agent.destroy();
      watchers.destroy();
    },
  };
}

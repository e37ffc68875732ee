import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** S3, as far as reading, writing and deleting objects. */
export interface Buckets {
  url: string;
  /** By `<bucket>/<key>`. */
  readonly objects: ReadonlyMap<string, { type: string; body: string }>;
  stop(): Promise<void>;
}

export async function startBuckets(): Promise<Buckets> {
  const objects = new Map<string, { type: string; body: string }>();
  const server = createServer((request, response) => {
    const key = decodeURIComponent(new URL(request.url ?? "/", "http://s3").pathname.slice(1));
    void text(request).then((body) => {
      const there = objects.get(key);
      if (request.method === "PUT") objects.set(key, { type: request.headers["content-type"] ?? "", body });
      else if (request.method === "DELETE") objects.delete(key);
      else if (request.method !== "GET") return void response.writeHead(405).end();
      else if (!there) return void response.writeHead(404).end();
      else return void response.writeHead(200, { "content-type": there.type }).end(there.body);
      response.writeHead(request.method === "PUT" ? 200 : 204).end();
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    objects,
    async stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}

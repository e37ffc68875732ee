import { request } from "node:http";
import { RuntimeError } from "#agent/runtime";
import { SpdyConnection } from "#agent/runtime/spdy";

/**
 * Connects to a streaming URL of the runtime with one protocol. Uses SPDY because the WebSocket protocols of runtimes
 * have no end-of-file for stdin. Throws `notFound`, `unavailable` or `failed`.
 */
export function connectSpdy(url: string, protocol: string): Promise<SpdyConnection> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, {
      method: "POST",
      headers: { Connection: "Upgrade", Upgrade: "SPDY/3.1", "X-Stream-Protocol-Version": protocol },
    });
    outgoing.on("upgrade", (_response, socket, head) => resolve(new SpdyConnection(socket, { head })));
    outgoing.on("response", (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("end", () => {
        const reason = response.statusCode === 404 ? "notFound" : "failed";
        reject(new RuntimeError(reason, Buffer.concat(parts).toString().trim() || `status ${response.statusCode}`));
      });
    });
    outgoing.on("error", (error) => reject(new RuntimeError("unavailable", error.message, { cause: error })));
    outgoing.end();
  });
}

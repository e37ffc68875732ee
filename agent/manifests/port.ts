import { randomBytes, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { join } from "node:path";
import { messageOf } from "#base";
import { longestManifest, readManifest } from "./manifest.ts";

export interface ManifestPortOptions {
  /** The port on the loopback address. */
  port: number;
  /** The folder that keeps manifests; `followFolder` reads it. */
  folder: string;
  /** The file with the bearer token, which only its owner can read; it is created when it does not exist. */
  tokenFile: string;
  node: string;
}

const nameOf = /^\/manifests\/([a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?)$/;

/**
 * A port on the loopback address that takes manifests: `GET /manifests` lists their names, `PUT /manifests/NAME` stores
 * one, `GET` and `DELETE` return and remove it. Requests carry the token of `tokenFile`, since a manifest can run
 * anything as root. A stored manifest survives a restart. Rejects when the port is in use.
 */
export async function manifestPort(options: ManifestPortOptions): Promise<{ port: number; stop(): Promise<void> }> {
  const { port, folder, tokenFile } = options;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const token = await openToken(tokenFile);
  const server = createServer({ requestTimeout: 30_000, headersTimeout: 10_000 }, (request, response) => {
    request.on("error", () => {});
    handle(request, token, options).then(
      (answer) => send(response, answer),
      (error: unknown) => send(response, { status: 500, body: { message: messageOf(error) } }),
    );
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as { port: number }).port,
    stop: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

interface Answer {
  status: number;
  body: unknown;
}

function send(response: ServerResponse, { status, body }: Answer): void {
  if (response.destroyed) return;
  const isText = typeof body === "string";
  response.writeHead(status, {
    "content-type": isText ? "application/yaml" : "application/json",
    // What was not read of a request that is too long must not be taken for the next one.
    ...(status === 413 ? { connection: "close" } : {}),
  });
  response.end(isText ? body : `${JSON.stringify(body)}\n`);
}

async function handle(request: IncomingMessage, token: string, options: ManifestPortOptions): Promise<Answer> {
  const { method = "", url = "" } = request;
  if (!isAuthorized(request, token)) {
    return fail(401, `a bearer token is needed: the content of ${options.tokenFile}`);
  }
  if (url === "/manifests") {
    if (method !== "GET") return fail(405, `${method} is not allowed on /manifests`);
    const names = (await readdir(options.folder)).filter((name) => !name.startsWith("."));
    return { status: 200, body: { manifests: names.sort() } };
  }
  const [, name] = nameOf.exec(url) ?? [];
  if (name === undefined) return fail(404, `there is no ${url}: expected /manifests or /manifests/NAME`);
  const path = join(options.folder, name);
  if (method === "PUT") return put(request, path, options);
  if (method !== "GET" && method !== "DELETE") return fail(405, `${method} is not allowed on /manifests/NAME`);
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
  if (text === undefined) return fail(404, `there is no manifest ${name}`);
  if (method === "GET") return { status: 200, body: text };
  await rm(path, { force: true });
  return { status: 200, body: { manifest: name } };
}

/** Stores a manifest that is good. A crash leaves the old one or the new one. */
async function put(request: IncomingMessage, path: string, { folder, node }: ManifestPortOptions): Promise<Answer> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    pieces.push(piece);
    length += piece.length;
    if (length > longestManifest) return fail(413, `a manifest has at most ${longestManifest} bytes`);
  }
  const text = Buffer.concat(pieces);
  let names: string[];
  try {
    const pods = await readManifest(text, { source: "file", place: path, node });
    names = pods.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
  } catch (error) {
    return fail(400, messageOf(error));
  }
  const draft = join(folder, `.${randomBytes(8).toString("hex")}`);
  await writeFile(draft, text, { mode: 0o600, flush: true });
  await rename(draft, path);
  return { status: 200, body: { pods: names } };
}

const fail = (status: number, message: string): Answer => ({ status, body: { message } });

function isAuthorized({ headers }: IncomingMessage, token: string): boolean {
  const sent = Buffer.from(headers.authorization ?? "");
  const expected = Buffer.from(`Bearer ${token}`);
  return sent.length === expected.length && timingSafeEqual(sent, expected);
}

async function openToken(path: string): Promise<string> {
  const known = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
    return "";
  });
  if (known.trim() !== "") return known.trim();
  const token = randomBytes(32).toString("base64url");
  await writeFile(`${path}.new`, `${token}\n`, { mode: 0o600, flush: true });
  await rename(`${path}.new`, path);
  return token;
}

import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import type { LambdaFunction } from "./runtime.ts";
import { isBodySigned, type Signed } from "./signatures.ts";

/*
 * API Gateway's REST API as documented, over the routes of the synthesized template: the event of a request, the form
 * of a response, and the requests that are refused before any function runs.
 */

export interface FrontRoute {
  /** As API Gateway writes it: `/`, `/{proxy+}`, `/iam/{proxy+}`. */
  resource: string;
  authorization: string;
  streamed: boolean;
  function: LambdaFunction;
}

export interface FrontOptions {
  routes: readonly FrontRoute[];
  stage: string;
  binaryMediaTypes: readonly string[];
  tls?: { key: string; cert: string };
  /** The signer of a request to a route with AWS_IAM; undefined: the signature is missing or wrong. */
  signer?: Signed;
}

export interface Front {
  url: string;
  stop(): Promise<void>;
}

const payloadLimit = 10 * 1024 * 1024;
/** Lambda's limit for one invocation. */
const eventLimit = 6 * 1024 * 1024;
const headerLimit = 10_240;
/** Response headers that API Gateway renames. */
const remapped = new Set([
  "authorization",
  "connection",
  "content-encoding-original",
  "content-length",
  "content-md5",
  "date",
  "expect",
  "host",
  "max-forwards",
  "proxy-authenticate",
  "server",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "user-agent",
  "via",
  "www-authenticate",
]);

export async function startFront(options: FrontOptions): Promise<Front> {
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    answer(options, request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else refuse(response, 502, `Internal server error: ${error instanceof Error ? error.message : error}`);
    });
  };
  const server: Server = options.tls ? createTlsServer(options.tls, handle) : createServer(handle);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `${options.tls ? "https" : "http"}://127.0.0.1:${port}/${options.stage}`,
    async stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}

const refuse = (response: ServerResponse, status: number, message: string): void =>
  void response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ message }));

async function answer(options: FrontOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? "/", "http://front");
  const prefix = `/${options.stage}`;
  if (url.pathname !== prefix && !url.pathname.startsWith(`${prefix}/`)) return refuse(response, 403, "Forbidden");
  const path = url.pathname.slice(prefix.length) || "/";
  const route = routeOf(options.routes, path);
  if (!route) return refuse(response, 403, "Missing Authentication Token");
  // Upgrades are neither done nor possible.
  if (request.headers.upgrade !== undefined) return refuse(response, 400, "Bad Request");
  if (request.rawHeaders.join("").length > headerLimit) return refuse(response, 431, "Request headers too large");
  const principal = route.authorization === "AWS_IAM" ? options.signer?.(request) : undefined;
  if (route.authorization === "AWS_IAM" && !principal) return refuse(response, 403, "Missing Authentication Token");
  const body = await buffer(request);
  if (body.length > payloadLimit) return refuse(response, 413, "Request Too Long");
  if (principal && !isBodySigned(request, body))
    return refuse(response, 403, "The body is not the one that was signed");
  const event = eventOf(request, url, path, route, body, principal, options.binaryMediaTypes);
  if (JSON.stringify(event).length > eventLimit) return refuse(response, 413, "Request Too Long");
  const { contentType, body: answered } = await route.function.invoke(event);
  const isFramed = contentType === "application/vnd.awslambda.http-integration-response";
  // API Gateway cannot read a streamed response on a buffered method, or the reverse.
  if (isFramed !== route.streamed) return refuse(response, 502, "Internal server error: the transfer mode");
  await relay(answered, response);
}

function routeOf(routes: readonly FrontRoute[], path: string): FrontRoute | undefined {
  const fits = ({ resource }: FrontRoute): boolean =>
    resource.endsWith("/{proxy+}")
      ? path.startsWith(resource.slice(0, -"{proxy+}".length)) && path.length > resource.length - "{proxy+}".length
      : path === resource;
  return routes.filter(fits).sort((a, b) => b.resource.length - a.resource.length)[0];
}

function eventOf(
  request: IncomingMessage,
  url: URL,
  path: string,
  route: FrontRoute,
  body: Buffer,
  principal: { arn: string; account: string; id: string } | undefined,
  binaryMediaTypes: readonly string[],
) {
  const headers: Record<string, string> = {};
  const multiValueHeaders: Record<string, string[]> = {};
  for (let place = 0; place < request.rawHeaders.length; place += 2) {
    const [name, value] = [request.rawHeaders[place]!, request.rawHeaders[place + 1]!];
    headers[name] = value;
    multiValueHeaders[name] = [...(multiValueHeaders[name] ?? []), value];
  }
  const names = [...new Set(url.searchParams.keys())];
  const query = Object.fromEntries(names.map((name) => [name, url.searchParams.getAll(name)]));
  const isBinary = binaryMediaTypes.includes("*/*") && body.length > 0;
  return {
    resource: route.resource,
    path: decodeURIComponent(path),
    httpMethod: request.method,
    headers,
    multiValueHeaders,
    queryStringParameters:
      names.length === 0 ? null : Object.fromEntries(names.map((name) => [name, query[name]!.at(-1)])),
    multiValueQueryStringParameters: names.length === 0 ? null : query,
    pathParameters: route.resource.endsWith("/{proxy+}") ? { proxy: path.slice(route.resource.length - 8) } : null,
    stageVariables: null,
    body: body.length === 0 ? null : body.toString(isBinary ? "base64" : "utf8"),
    isBase64Encoded: isBinary,
    requestContext: {
      requestId: randomUUID(),
      resourcePath: route.resource,
      path: url.pathname,
      httpMethod: request.method,
      protocol: "HTTP/1.1",
      identity: {
        sourceIp: "127.0.0.1",
        userAgent: request.headers["user-agent"] ?? null,
        accountId: principal?.account ?? null,
        userArn: principal?.arn ?? null,
        user: principal?.id ?? null,
        caller: principal?.id ?? null,
        accessKey: null,
      },
    },
  };
}

const preludeEnd = Buffer.alloc(8);

/**
 * Reads the prelude, then passes on the body as it arrives. A client that disconnects does not end the function: the
 * rest of its output is dropped.
 */
async function relay(answered: AsyncIterable<Buffer>, response: ServerResponse): Promise<void> {
  let head = Buffer.alloc(0);
  let isOpen = false;
  for await (const chunk of answered) {
    if (isOpen) {
      if (!response.destroyed) response.write(chunk);
      continue;
    }
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf(preludeEnd);
    if (end < 0) continue;
    const { statusCode, headers = {} } = JSON.parse(head.subarray(0, end).toString()) as {
      statusCode: number;
      headers?: Record<string, string>;
    };
    isOpen = true;
    const kept = Object.entries(headers).map(([name, value]) =>
      remapped.has(name.toLowerCase()) ? [`x-amzn-Remapped-${name}`, value] : [name, value],
    );
    response.writeHead(statusCode, Object.fromEntries(kept));
    response.flushHeaders();
    const rest = head.subarray(end + preludeEnd.length);
    if (rest.length > 0) response.write(rest);
  }
  if (!isOpen) throw new Error("the answer has no prelude");
  response.end();
}

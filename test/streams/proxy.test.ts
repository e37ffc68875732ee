import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { createServer as createTlsServer, request as sendRequest } from "node:https";
import { type AddressInfo, connect as connectTcp } from "node:net";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Link } from "#agent/link";
import { fakeRuntime } from "#agent/runtime/fake";
import { plainContainer, plainSandbox } from "#agent/runtime/testing";
import { catalog, endpointSlices, nodes, type Pod, pods, services } from "#api";
import { ApiServer } from "#apiserver";
import { clientCertificates, masters } from "#auth";
import { createAuthority, issue } from "#auth/certificates";
import { silentLog, systemClock, systemRandom } from "#base";
import { createLinks, type Host, type Links, serve } from "#hosts/https";
import { Registry, Resources } from "#resources";
import { memoryStore } from "#store/memory";

const proxied = "/api/v1/namespaces/default/pods/p/proxy";
let host: Host;
let links: Links;
let link: Link;
let target: Server;
let secureTarget: Server;
let admin: { cert: string; key: string };
let podAddress = "";
const ports = new Map<number, number>();
let dialled = 0;
/** Bytes that the pod has sent of its endless response. */
let endless = 0;

/** The server in the pod. */
async function answerInPod(request: IncomingMessage, response: import("node:http").ServerResponse): Promise<void> {
  const [path = "", query = ""] = (request.url ?? "").split("?");
  if (path === "/upload") {
    let size = 0;
    for await (const chunk of request) size += (chunk as Buffer).length;
    return void response.end(String(size));
  }
  if (path === "/mirror") return void request.pipe(response);
  if (path === "/endless") {
    const write = () => {
      while (!response.destroyed && response.write(Buffer.alloc(16_384))) endless += 16_384;
    };
    response.on("drain", write);
    return write();
  }
  if (path === "/redirect") return void response.writeHead(302, { location: decodeURIComponent(query) }).end();
  if (path === "/page") {
    const page = gzipSync('<a href="/x">x</a>');
    return void response.writeHead(200, { "content-type": "text/html", "content-encoding": "gzip" }).end(page);
  }
  response.setHeader("access-control-allow-origin", "*");
  response.setHeader("x-many", ["a", "b"]);
  response.setHeader("content-type", "application/json");
  const { method, url, headers } = request;
  response.end(JSON.stringify({ method, url, headers, body: await text(request) }));
}

beforeAll(async () => {
  const now = Date.now();
  const authority = await createAuthority(now);
  const tls = await issue({ authority, subject: { commonName: "host" }, names: ["127.0.0.1"], days: 1, now });
  admin = await issue({
    authority,
    subject: { commonName: "admin", organizations: ["system:masters"] },
    ...{ days: 1, now },
  });
  target = createServer((request, response) => void answerInPod(request, response)).on(
    "upgrade",
    (request, socket: Duplex) => {
      if (request.url?.startsWith("/refuse")) {
        return void socket.end("HTTP/1.1 418 No\r\nX-A: b\r\nContent-Length: 2\r\n\r\nno");
      }
      socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
      socket.write(`${request.url}\n`);
      socket.pipe(socket);
    },
  );
  secureTarget = createTlsServer(tls, (_request, response) => void response.end("secure"));
  for (const [port, server] of [
    [8080, target],
    [8443, secureTarget],
  ] as const) {
    await once(server.listen(0, "127.0.0.1"), "listening");
    ports.set(port, (server.address() as AddressInfo).port);
  }
  await startCluster({ ...tls, ca: authority.cert });
});
afterAll(async () => {
  await link.stop();
  await host.close();
  for (const server of [target, secureTarget]) {
    server.closeAllConnections();
    server.close();
  }
});

async function startCluster(tls: { cert: string; key: string; ca: string }): Promise<void> {
  const base = { clock: systemClock, random: systemRandom, log: silentLog };
  const store = memoryStore();
  const resources = new Resources({ store, registry: new Registry(catalog), admission: [], ...base });
  links = createLinks(silentLog, systemClock);
  const version = {} as never;
  const authorize: typeof masters = (attributes) => (attributes.resource ? masters(attributes) : { allowed: true });
  const api = new ApiServer({ resources, links, version, authenticators: [clientCertificates], authorize });
  const server: Pick<ApiServer, "handle"> = {
    handle: async (request) =>
      request.path === "/link/n"
        ? { status: 101, headers: {}, body: new Uint8Array(), link: "n" }
        : api.handle(request),
  };
  host = await serve({ server, links, log: silentLog, bind: "127.0.0.1", port: 0, tls });
  const runtime = fakeRuntime({ clock: systemClock });
  const sandbox = plainSandbox({ name: "p", namespace: "default", uid: "u", logDirectory: "" });
  const { id: sandboxId, ips } = await runtime.pods.runSandbox(sandbox);
  podAddress = ips[0]!;
  const { id: imageId } = await runtime.images.pull("busybox");
  await runtime.pods.startContainer({
    sandboxId,
    sandbox,
    container: plainContainer({ image: "busybox", imageId, command: ["sleep", "1000"] }),
  });
  runtime.streams.dial = async (_sandbox, port) => {
    dialled++;
    const socket = connectTcp({ port: ports.get(port) ?? 1, host: "127.0.0.1", allowHalfOpen: true });
    await once(socket, "connect");
    return socket;
  };
  const status = { phase: "Running", podIPs: [{ ip: podAddress }] };
  const containers = [{ name: "main", image: "busybox", ports: [{ containerPort: 8080 }] }];
  const pod = { metadata: { name: "p", namespace: "default", uid: "u" }, spec: { nodeName: "n", containers }, status };
  const client = resources.client({ name: "test", groups: ["system:masters"] });
  await client.create(nodes, { metadata: { name: "n" } });
  for (const name of ["p", "foreign"]) {
    const made = await client.create(pods, { ...pod, metadata: { name, namespace: "default" } } as Pod);
    const ip = name === "p" ? podAddress : "169.254.169.254";
    await client.update(pods, { ...made, status: { ...status, podIPs: [{ ip }] } } as Pod, { subresource: "status" });
  }
  await createService(client);
  link = new Link({
    server: `https://127.0.0.1:${host.port}`,
    tls: { ca: tls.ca },
    node: "n",
    runtime,
    find: (_namespace, name) => (name === "p" ? (pod as unknown as Pod) : undefined),
    list: () => [pod as unknown as Pod],
    clock: systemClock,
    log: silentLog,
  });
  while (!links.has("n")) await new Promise((resolve) => setTimeout(resolve, 5));
}

async function createService(client: ReturnType<Resources["client"]>): Promise<void> {
  const metadata = { name: "s", namespace: "default" };
  await client.create(services, { metadata, spec: { ports: [{ name: "web", port: 80, targetPort: 8080 }] } } as never);
  const targetRef = { kind: "Pod", name: "p", namespace: "default" };
  const endpoint = (address: string, more = {}) => ({ addresses: [address], targetRef, ...more });
  await client.create(endpointSlices, {
    metadata: { ...metadata, labels: { "kubernetes.io/service-name": "s" } },
    addressType: "IPv4",
    ports: [{ name: "web", port: 8080 }],
    endpoints: [
      endpoint("10.9.9.9"),
      { addresses: [podAddress], conditions: { ready: true } },
      endpoint(podAddress, { conditions: { ready: false } }),
      endpoint(podAddress),
    ],
  } as never);
}

interface Sent {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
}

async function send(
  path: string,
  { method = "GET", headers = {}, body = "" }: Sent = {},
): Promise<{ status: number; headers: IncomingHttpHeaders; bytes: Buffer }> {
  const request = sendRequest({
    ...{ ...admin, port: host.port, host: "127.0.0.1", rejectUnauthorized: false, agent: false },
    ...{ method, path, headers: { host: "api.example:6443", ...headers } },
  });
  request.end(body);
  const [response] = (await once(request, "response")) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { status: response.statusCode!, headers: response.headers, bytes: Buffer.concat(chunks) };
}

const json = async (path: string, sent: Sent = {}) => {
  const { status, bytes } = await send(path, sent);
  const parsed: Record<string, unknown> = { ...JSON.parse(bytes.toString()), code: status };
  return parsed;
};

// Paths, queries and headers seen on v1.37.2.
test("passes a request on to the pod, with its path, query and headers", async () => {
  const headers = { "x-keep": "1", "x-drop": "1", connection: "x-drop", authorization: "Bearer secret" };
  const answer = await json(`${proxied}/a/../b%20c/(x)/%C3%A9?q=1&&z=%zz`, { headers });
  expect(answer).toMatchObject({ method: "GET", url: "/b%20c/%28x%29/%C3%A9?q=1&&z=%zz", body: "" });
  const seen = answer["headers"] as Record<string, string>;
  expect(seen).toMatchObject({
    host: "api.example:6443",
    "x-keep": "1",
    "x-forwarded-for": "127.0.0.1",
    "x-forwarded-uri": `${proxied}/b%20c/%28x%29/%C3%A9`,
  });
  expect(Object.keys(seen)).not.toContain("authorization");
  expect(Object.keys(seen)).not.toContain("x-drop");
});

test.each(["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])("passes %s with its body on", async (method) => {
  const body = method === "OPTIONS" ? "" : "hello";
  const headers = { "content-length": String(body.length) };
  expect(await json(`${proxied}/x`, { method, body, headers })).toMatchObject({ code: 200, method, body });
});

test("answers HEAD without a body, and refuses other methods", async () => {
  const { status, headers, bytes } = await send(`${proxied}/x`, { method: "HEAD" });
  expect([status, headers["content-type"], bytes.length]).toEqual([200, "application/json", 0]);
  expect((await send(`${proxied}/x`, { method: "TRACE" })).status).toBe(405);
});

// Upstream's proxyRedirectsforRootPath and removeCORSHeaders.
test("redirects a path without a slash, and passes headers of the response on", async () => {
  const { status, headers } = await send(`${proxied}?x=1`);
  expect([status, headers.location]).toEqual([301, `${proxied}/?x=1`]);
  expect(await json(proxied, { method: "POST", headers: { "content-length": "0" } })).toMatchObject({ url: "/" });
  const answer = await send(`${proxied}/`);
  expect(answer.headers["x-many"]).toBe("a, b");
  expect(answer.headers).not.toHaveProperty("access-control-allow-origin");
});

test("rewrites redirects, and the links of compressed pages", async () => {
  expect((await send(`${proxied}/redirect?%2Fabs`)).headers.location).toBe(`${proxied}/abs`);
  const own = encodeURIComponent(`http://${podAddress}:8080/own`);
  expect((await send(`${proxied}/redirect?${own}`)).headers.location).toBe(`${proxied}/own`);
  const page = await send(`${proxied}/page`);
  expect(page.headers["content-encoding"]).toBe("gzip");
  expect(gunzipSync(page.bytes).toString()).toBe(`<a href="${proxied}/x">x</a>`);
});

const inNamespace = "/api/v1/namespaces/default";

// Messages seen on v1.37.2; a port that is no number is 400 here.
test.each([
  ["pods/https:p:8443/proxy/", 200, "secure"],
  ["pods/p:1/proxy/", 503, "error trying to reach service: dial tcp POD:1: "],
  ["pods/p:web/proxy/", 400, 'invalid port \\"web\\"'],
  ["pods/none/proxy/", 404, 'pods \\"none\\" not found'],
  ["pods/a:b:c:d/proxy/", 400, 'invalid pod request \\"a:b:c:d\\"'],
  ["pods/foreign/proxy/", 400, "address not allowed"],
  ["services/s:web/proxy/x", 200, '"url":"/x"'],
  ["services/s:80/proxy/", 200, '"url":"/"'],
  ["services/http:s:web/proxy/", 200, '"url":"/"'],
  ["services/s/proxy/", 503, 'no endpoints available for service \\"s\\"'],
  ["services/s:81/proxy/", 503, 'no service port 81 found for service \\"s\\"'],
  ["services/none/proxy/", 503, 'no endpoints available for service \\"none\\"'],
  ["services/none:80/proxy/", 404, 'services \\"none\\" not found'],
  ["services/ftp:s:web/proxy/", 400, 'invalid service request \\"ftp:s:web\\"'],
])("answers %s with %d", async (path, status, message) => {
  for (let times = 0; times < 5; times++) {
    const answer = await send(`${inNamespace}/${path}`);
    expect(answer.bytes.toString()).toContain(message.replace("POD", podAddress));
    expect(answer.status).toBe(status);
  }
});

test("the agent connects to its pods' own addresses only", async () => {
  const before = dialled;
  for (const address of ["127.0.0.1", "169.254.169.254", "10.9.9.9", "::1"]) {
    const request = { type: "dial" as const, pod: { namespace: "default", name: "p" }, address, port: 8080 };
    const wanted = { node: "n", request, proxied: {} as never };
    await expect(links.dial(wanted)).rejects.toThrow("address not allowed");
  }
  expect(dialled).toBe(before);
});

test("serves the kubelet's information, and no other path of a node", async () => {
  const node = (path: string, method = "GET") => send(`/api/v1/nodes/n/proxy${path}`, { method });
  expect((await node("/healthz")).bytes.toString()).toBe("ok");
  expect(JSON.parse((await node("/pods")).bytes.toString())).toMatchObject({
    kind: "PodList",
    items: [{ metadata: { name: "p" } }],
  });
  expect(JSON.parse((await node("/runningpods/")).bytes.toString()).items).toEqual([
    {
      metadata: { name: "p", namespace: "default", uid: "u" },
      spec: { containers: [{ name: "main", image: "busybox", resources: {} }] },
    },
  ]);
  expect(JSON.parse((await node("/configz")).bytes.toString())).toHaveProperty("kubeletconfig.cgroupDriver");
  for (const path of ["/", "/exec/default/p/main", "/run/x"])
    expect([path, (await node(path)).status]).toEqual([path, 404]);
  expect((await node("/pods", "POST")).status).toBe(405);
});

async function upgrade(path: string): Promise<{ response: IncomingMessage; socket?: Duplex }> {
  const request = sendRequest({
    ...{ ...admin, port: host.port, host: "127.0.0.1", rejectUnauthorized: false, agent: false, path },
    headers: { connection: "Upgrade", upgrade: "echo" },
  });
  request.end();
  return await new Promise((resolve, reject) => {
    request.once("upgrade", (response, socket) => resolve({ response, socket }));
    request.once("response", (response) => resolve({ response }));
    request.once("error", reject);
  });
}

// Upstream passes no query on with an upgrade; browsers' WebSockets need it.
test("joins an upgraded connection, and passes a refusal on", async () => {
  const { response, socket } = await upgrade(`${proxied}/up?q=1`);
  expect([response.statusCode, response.headers.upgrade]).toEqual([101, "echo"]);
  let got = "";
  socket!.on("data", (chunk) => {
    got += chunk;
  });
  socket!.write("hello");
  await expect.poll(() => got).toBe("/up?q=1\nhello");
  socket!.destroy();
  const refused = (await upgrade(`${proxied}/refuse`)).response;
  expect([refused.statusCode, refused.headers["x-a"], await text(refused)]).toEqual([418, "b", "no"]);
  const lost = (await upgrade(`${inNamespace}/pods/p:1/proxy/x`)).response;
  expect([lost.statusCode, await text(lost)]).toEqual([
    500,
    expect.stringContaining("error dialing backend: dial tcp"),
  ]);
});

test("streams bodies of any size both ways, over HTTP/1.1 and HTTP/2", async () => {
  const size = 8 * 1024 * 1024;
  const { bytes } = await send(`${proxied}/upload`, { method: "POST", body: "x".repeat(size) });
  expect(bytes.toString()).toBe(String(size));
  const session = connectHttp2(`https://127.0.0.1:${host.port}`, { ...admin, rejectUnauthorized: false });
  // Each part is answered before the next is sent.
  const mirror = session.request({ ":method": "POST", ":path": `${proxied}/mirror` });
  let got = "";
  mirror.on("data", (chunk) => {
    got += chunk;
  });
  for (const part of ["one", "two", "three"]) {
    mirror.write(part);
    await expect.poll(() => got).toContain(part);
  }
  mirror.end();
  await once(mirror, "end");
  session.close();
});

test("stops the pod's server while the client does not read", async () => {
  const request = sendRequest({
    ...{ ...admin, port: host.port, host: "127.0.0.1", rejectUnauthorized: false, agent: false },
    path: `${proxied}/endless`,
  });
  request.end();
  const [response] = (await once(request, "response")) as [IncomingMessage];
  let before = -1;
  while (endless !== before) {
    before = endless;
    // Other requests of the same link go on.
    for (let times = 0; times < 10; times++) expect(await json(`${proxied}/x`)).toMatchObject({ code: 200 });
  }
  // Buffers of four sockets and a window of the link.
  expect(endless).toBeLessThan(64 * 1024 * 1024);
  response.destroy();
});

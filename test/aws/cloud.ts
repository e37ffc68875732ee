import { once } from "node:events";
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";

/** One call of a service, before it is carried out. */
export interface Call {
  /** The process that calls. */
  instance: string;
  /** Such as `DynamoDB_20120810.TransactWriteItems`. */
  target: string;
  body: Buffer;
}

/** The fault of a call. `lost`: it is executed, and the response never arrives. */
export type Fault =
  | { kind: "refused"; status: number; body: unknown }
  | { kind: "lost" }
  | { kind: "delayed"; milliseconds: number };

/** A service that answers here. */
export type Service = (action: string, input: Record<string, unknown>) => Promise<unknown>;

/** An error in a service's form. */
export class ServiceError extends Error {
  constructor(name: string, message = name) {
    super(message);
    this.name = name;
  }
}

export interface CloudOptions {
  /** Servers that calls are passed on to, by the part of the target before the dot. */
  servers: Record<string, string>;
  /** Services that answer here, likewise. */
  services: Record<string, Service>;
  /** Called for every call. */
  fault?: (call: Call) => Fault | undefined;
  /** Requests the consumed capacity from DynamoDB, and receives it. */
  consumed?: (target: string, units: number) => void;
}

export interface Cloud {
  /** The environment with the endpoints of all services. */
  endpointFor(instance: string): string;
  /** How often each action was called. */
  readonly counts: ReadonlyMap<string, number>;
  /** The number of calls of each function. */
  readonly callers: ReadonlyMap<string, number>;
  stop(): Promise<void>;
}

/** All services of AWS at one address, distinguished by the target that SDKs send; calls are counted, and may fail. */
export async function startCloud(options: CloudOptions): Promise<Cloud> {
  const counts = new Map<string, number>();
  const callers = new Map<string, number>();
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const instance = decodeURIComponent((request.url ?? "/").split("/")[1] ?? "");
    const target = String(request.headers["x-amz-target"] ?? "");
    const body = await buffer(request);
    counts.set(target, (counts.get(target) ?? 0) + 1);
    const caller = instance.replace(/-\d+$/, "");
    callers.set(caller, (callers.get(caller) ?? 0) + 1);
    const fault = options.fault?.({ instance, target, body });
    if (fault?.kind === "refused") return reply(response, fault.status, fault.body);
    if (fault?.kind === "delayed") await new Promise((resolve) => setTimeout(resolve, fault.milliseconds));
    const [service = "", action = ""] = target.split(".");
    const server = options.servers[service];
    const isMetered = server !== undefined && service.startsWith("DynamoDB") && options.consumed !== undefined;
    const asked = isMetered ? metered(body) : body;
    const answer = server ? await forward(server, request, asked) : await here(options.services[service], action, body);
    if (isMetered) options.consumed?.(target, unitsOf(answer.body));
    if (fault?.kind === "lost") return void request.socket.destroy();
    response.writeHead(answer.status, answer.headers).end(answer.body);
  };
  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) =>
      reply(response, 500, { __type: "InternalFailure", message: String(error) }),
    );
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    endpointFor: (instance) => `http://127.0.0.1:${port}/${encodeURIComponent(instance)}`,
    counts,
    callers,
    async stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}

const metered = (body: Buffer): Buffer =>
  Buffer.from(JSON.stringify({ ...JSON.parse(body.toString()), ReturnConsumedCapacity: "TOTAL" }));

/** The consumed capacity of a call; of one table or of several. */
function unitsOf(body: Buffer): number {
  const { ConsumedCapacity = [] } = JSON.parse(body.toString() || "{}") as {
    ConsumedCapacity?: { CapacityUnits?: number } | { CapacityUnits?: number }[];
  };
  return [ConsumedCapacity].flat().reduce((total, { CapacityUnits = 0 }) => total + CapacityUnits, 0);
}

const amzJson = { "content-type": "application/x-amz-json-1.0" };
const reply = (response: ServerResponse, status: number, body: unknown): void =>
  void response.writeHead(status, amzJson).end(JSON.stringify(body));

interface Answer {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
}

function forward(server: string, request: IncomingMessage, body: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { host, ...headers } = request.headers;
    const onward = httpRequest(
      server,
      { method: "POST", headers: { ...headers, "content-length": body.length } },
      (answer) => {
        buffer(answer).then(
          (bytes) => resolve({ status: answer.statusCode ?? 500, headers: kept(answer.headers), body: bytes }),
          reject,
        );
      },
    );
    onward.once("error", reject);
    onward.end(body);
  });
}

const kept = (headers: IncomingMessage["headers"]): Record<string, string> => ({
  "content-type": String(headers["content-type"] ?? amzJson["content-type"]),
  ...(headers["x-amz-crc32"] === undefined ? {} : { "x-amz-crc32": String(headers["x-amz-crc32"]) }),
});

async function here(service: Service | undefined, action: string, body: Buffer): Promise<Answer> {
  const say = (status: number, value: unknown): Answer => ({
    status,
    headers: amzJson,
    body: Buffer.from(JSON.stringify(value)),
  });
  if (!service) return say(400, { __type: "UnknownOperationException", message: "no such service here" });
  try {
    return say(200, (await service(action, JSON.parse(body.toString() || "{}"))) ?? {});
  } catch (error) {
    if (error instanceof ServiceError) return say(400, { __type: error.name, message: error.message });
    throw error;
  }
}

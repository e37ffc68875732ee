import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { buffer } from "node:stream/consumers";

/** A function as it is deployed. */
export interface Deployed {
  name: string;
  arn: string;
  /** Folder with the bundle. */
  code: string;
  handler: string;
  environment: Record<string, string>;
  /** Seconds. */
  timeout: number;
  memory: number;
}

/** The result of an invocation. */
export interface Invoked {
  /** The content type of the runtime's response: with a prelude or without. */
  contentType: string;
  body: IncomingMessage;
}

/** The function threw, its process ended, or it took too long. */
export class FunctionError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "FunctionError";
  }
}

interface Invocation {
  id: string;
  event: string;
  deadline: number;
  answered: PromiseWithResolvers<Invoked>;
}

/** One execution environment: a process under Lambda's own runtime client, one invocation at a time. */
interface Instance {
  child: ChildProcess;
  server: Server;
  busy: Invocation | undefined;
  /** The runtime's open request for the next invocation. */
  waiting: ServerResponse | undefined;
  output: string;
  ended: boolean;
}

export interface RuntimeOptions {
  /** The services' address for a process, identified by its name. */
  endpointFor: (instance: string) => string;
  region: string;
  /** Called with every line that a function writes. */
  output?: (name: string, line: string) => void;
  /** A prefix of the command, such as a CPU limit. */
  wrap?: (deployed: Deployed) => readonly string[];
  /** The most environments, each of them a process; further invocations wait. */
  most?: number;
}

/** A Lambda function that runs its bundle in processes, which are reused for later invocations. */
export interface LambdaFunction {
  readonly deployed: Deployed;
  /** Starts an environment if none is free. Rejects with FunctionError. */
  invoke(event: unknown): Promise<Invoked>;
  /** The same, with the answer read as JSON. */
  call(event: unknown): Promise<unknown>;
  /** Kills one environment with SIGKILL; false if there is none by this name. */
  kill(instance: string): boolean;
  readonly instances: readonly string[];
  /** How often it was invoked. */
  readonly invocations: number;
  /** Their processes. */
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

const client = (): string => join(dirname(createRequire(import.meta.url).resolve("aws-lambda-ric")), "index.mjs");

export function lambdaFunction(deployed: Deployed, options: RuntimeOptions): LambdaFunction {
  const instances = new Map<string, Instance>();
  let serial = 0;
  let invocations = 0;

  const start = async (first: Invocation): Promise<Instance> => {
    const name = `${deployed.name}-${++serial}`;
    const server = createServer((request, response) => void serve(instance, deployed, request, response));
    // Lambda keeps connections open as long as the instance exists, and its client relies on that.
    server.keepAliveTimeout = 0;
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const command = [...(options.wrap?.(deployed) ?? []), process.execPath, client(), deployed.handler];
    const child = spawn(command[0]!, command.slice(1), {
      cwd: deployed.code,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: process.env["PATH"],
        AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${port}`,
        AWS_LAMBDA_FUNCTION_NAME: deployed.name,
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(deployed.memory),
        AWS_LAMBDA_FUNCTION_VERSION: "$LATEST",
        AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${deployed.name}`,
        AWS_LAMBDA_LOG_STREAM_NAME: name,
        AWS_EXECUTION_ENV: "AWS_Lambda_nodejs24.x",
        LAMBDA_TASK_ROOT: deployed.code,
        _HANDLER: deployed.handler,
        AWS_REGION: options.region,
        AWS_ACCESS_KEY_ID: "local",
        AWS_SECRET_ACCESS_KEY: "local",
        AWS_ENDPOINT_URL: options.endpointFor(name),
        ...deployed.environment,
      },
    });
    const instance: Instance = { child, server, busy: first, waiting: undefined, output: "", ended: false };
    const listen = (chunk: Buffer) => {
      instance.output = (instance.output + chunk).slice(-4000);
      for (const line of String(chunk).split("\n")) if (line !== "") options.output?.(deployed.name, line);
    };
    child.stdout!.on("data", listen);
    child.stderr!.on("data", listen);
    child.once("exit", (code, signal) => {
      instance.ended = true;
      instances.delete(name);
      instance.busy?.answered.reject(
        new FunctionError(`${deployed.name} ended with ${signal ?? code}: ${instance.output}`),
      );
      server.close();
      server.closeAllConnections();
    });
    instances.set(name, instance);
    return instance;
  };

  const free = () => [...instances.values()].find((one) => !one.busy && !one.ended);

  let starting = 0;
  const invoke = async (event: unknown): Promise<Invoked> => {
    invocations++;
    const invocation: Invocation = {
      id: randomUUID(),
      event: JSON.stringify(event),
      deadline: Date.now() + deployed.timeout * 1000,
      answered: Promise.withResolvers<Invoked>(),
    };
    let known = free();
    while (!known && instances.size + starting >= (options.most ?? Number.POSITIVE_INFINITY)) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      known = free();
    }
    if (known) known.busy = invocation;
    else starting++;
    const instance = known ?? (await start(invocation).finally(() => starting--));
    hand(instance, deployed);
    const timer = setTimeout(() => instance.child.kill("SIGKILL"), deployed.timeout * 1000);
    try {
      return await invocation.answered.promise;
    } finally {
      clearTimeout(timer);
    }
  };

  return {
    deployed,
    invoke,
    async call(event) {
      const { body } = await invoke(event);
      const text = (await buffer(body)).toString();
      return text === "" ? undefined : JSON.parse(text);
    },
    kill(name) {
      const instance = instances.get(name);
      return instance?.child.kill("SIGKILL") ?? false;
    },
    get instances() {
      return [...instances.keys()];
    },
    get invocations() {
      return invocations;
    },
    get pids() {
      return [...instances.values()].flatMap(({ child }) => child.pid ?? []);
    },
    async stop() {
      await Promise.all(
        [...instances.values()].map(async ({ child, server }) => {
          const gone = once(child, "exit");
          child.kill("SIGKILL");
          await gone;
          server.close();
        }),
      );
    },
  };
}

/** Passes an invocation to the process, which polls for it. */
function hand(instance: Instance, { arn }: Deployed): void {
  const { waiting, busy } = instance;
  if (!waiting || !busy) return;
  instance.waiting = undefined;
  waiting.writeHead(200, {
    "content-type": "application/json",
    "lambda-runtime-aws-request-id": busy.id,
    "lambda-runtime-deadline-ms": String(busy.deadline),
    "lambda-runtime-invoked-function-arn": arn,
    "lambda-runtime-trace-id": `Root=1-${busy.id.slice(0, 8)}-${busy.id.replaceAll("-", "").slice(8)};Sampled=0`,
  });
  waiting.end(busy.event);
}

/** Lambda's Runtime API. */
async function serve(instance: Instance, deployed: Deployed, request: IncomingMessage, response: ServerResponse) {
  const path = request.url ?? "";
  if (path.endsWith("/invocation/next")) {
    instance.waiting = response;
    hand(instance, deployed);
    return;
  }
  const { busy } = instance;
  const accepted = () => response.writeHead(202, { "content-type": "application/json" }).end('{"status":"OK"}');
  if (path.endsWith("/error")) {
    const text = (await buffer(request)).toString();
    instance.busy = undefined;
    accepted();
    busy?.answered.reject(new FunctionError(`${deployed.name}: ${text}`));
    return;
  }
  if (!path.endsWith("/response") || !busy) {
    response.writeHead(404).end();
    return;
  }
  // The environment is free again when the whole response was read, and not later: it polls for the next.
  const free = () => {
    if (instance.busy === busy) instance.busy = undefined;
  };
  request.once("end", () => {
    free();
    accepted();
  });
  request.once("close", free);
  busy.answered.resolve({ contentType: request.headers["content-type"] ?? "", body: request });
}

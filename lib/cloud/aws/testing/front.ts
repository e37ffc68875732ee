import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import type { Fault } from "#cloud/conformance";

export interface Answer {
  status: number;
  body: string;
}

export interface FrontOptions {
  /** Executes a call. */
  handle(body: string, headers: IncomingMessage["headers"]): Promise<Answer> | Answer;
}

/** An address at which both services answer, and where any call can be made to fail. */
export interface Front {
  url: string;
  /** Actions in the order of their execution. */
  readonly actions: readonly string[];
  arm(call: number, fault: Fault): void;
  revive(): boolean;
  stop(): Promise<void>;
}

const throttled: Record<string, string> = {
  elb: "<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>",
  ec2: "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Rate exceeded</Message></Error></Errors></Response>",
};

export const isEc2 = (body: string): boolean => new URLSearchParams(body).get("Version") === "2016-11-15";

export async function startFront({ handle }: FrontOptions): Promise<Front> {
  const actions: string[] = [];
  let armed: { call: number; fault: Fault } | undefined;
  let calls = 0;
  let hasOccurred = false;
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await text(request);
    const number = ++calls;
    const fault = armed && number === armed.call ? armed.fault : undefined;
    const isDead = armed !== undefined && number > armed.call && armed.fault.startsWith("dead");
    hasOccurred ||= fault !== undefined;
    if (isDead || fault === "dead before") return void request.socket.destroy();
    const reply = (answer: Answer): void =>
      void response.writeHead(answer.status, { "content-type": "text/xml" }).end(answer.body);
    if (fault === "throttled") {
      return reply(isEc2(body) ? { status: 503, body: throttled["ec2"]! } : { status: 400, body: throttled["elb"]! });
    }
    const answer = await handle(body, request.headers);
    actions.push(new URLSearchParams(body).get("Action") ?? "");
    if (fault) return void request.socket.destroy();
    reply(answer);
  };
  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    actions,
    arm(call, fault) {
      armed = { call, fault };
      calls = 0;
      hasOccurred = false;
    },
    revive() {
      armed = undefined;
      return hasOccurred;
    },
    async stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}

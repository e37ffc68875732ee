import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/*
 * AWS's services at one address, in the protocols of their clients: XML for form requests, JSON with a target or a path
 * for others, and S3's own. The responses come from the test.
 */

/** An error in a service's form. */
export class AwsError extends Error {
  readonly status: number;

  constructor(name: string, message = name, status = 400) {
    super(message);
    this.name = name;
    this.status = status;
  }
}

/** Responses by action: XML's inner part for form requests, an object for others. */
export type Answers = Record<string, (input: Record<string, string>) => string | object>;

export interface Aws {
  endpoint: string;
  answers: Answers;
  stop(): Promise<void>;
}

/** The actions behind the paths of REST services. */
const paths: [RegExp, string][] = [
  [/^\/2016-08-19\/account-settings/, "GetAccountSettings"],
  [/^\/2015-03-31\/functions\/(?<FunctionName>[^/]+)\/configuration/, "GetFunctionConfiguration"],
  [/^\/account$/, "GetAccount"],
];

export async function startAws(answers: Answers): Promise<Aws> {
  const server = createServer((request, response) => void serve(request, response, answers));
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    answers,
    async stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}

interface ReceivedCall {
  action: string;
  input: Record<string, string>;
  protocol: "xml" | "json" | "s3";
}

async function serve(request: IncomingMessage, response: ServerResponse, answers: Answers): Promise<void> {
  const call = await read(request);
  const { action, input, protocol } = call;
  const give = (status: number, type: string, body: string, headers: Record<string, string> = {}): void =>
    void response.writeHead(status, { "content-type": type, ...headers }).end(body);
  try {
    const answer = answers[action];
    if (!answer) throw new AwsError("UnknownOperation", `no response is set for ${action}`);
    const result = answer(input);
    if (protocol === "json") return give(200, "application/x-amz-json-1.1", JSON.stringify(result));
    if (protocol === "s3") return give(200, "application/xml", String(result));
    // EC2 does not wrap its responses; the others wrap them in a result.
    const inner = action === "DescribeInstanceTypes" ? result : `<${action}Result>${String(result)}</${action}Result>`;
    return give(200, "text/xml", `<${action}Response>${String(inner)}</${action}Response>`);
  } catch (error) {
    const { name, message, status = 500 } = error as AwsError;
    if (protocol === "json")
      return give(status, "application/x-amz-json-1.1", JSON.stringify({ __type: name, message }), {
        "x-amzn-errortype": name,
      });
    const detail = `<Code>${name}</Code><Message>${message}</Message>`;
    const body =
      action === "DescribeInstanceTypes"
        ? `<Response><Errors><Error>${detail}</Error></Errors></Response>`
        : `<ErrorResponse><Error><Type>Sender</Type>${detail}</Error></ErrorResponse>`;
    return give(status, "text/xml", body);
  }
}

async function read(request: IncomingMessage): Promise<ReceivedCall> {
  const body = await text(request);
  const path = (request.url ?? "/").split("?")[0]!;
  const target = request.headers["x-amz-target"];
  if (typeof target === "string")
    return { action: target.split(".")[1] ?? "", input: JSON.parse(body), protocol: "json" };
  for (const [pattern, action] of paths) {
    const found = pattern.exec(path);
    if (found) return { action, input: { ...found.groups }, protocol: "json" };
  }
  const query = new URL(request.url ?? "/", "http://s3").searchParams;
  if (query.has("list-type")) return { action: "ListObjectsV2", input: { Bucket: path.slice(1) }, protocol: "s3" };
  if (query.has("delete")) return { action: "DeleteObjects", input: { Bucket: path.slice(1), body }, protocol: "s3" };
  if (path === "/v20180820/configuration/publicAccessBlock") {
    const input = { AccountId: String(request.headers["x-amz-account-id"]) };
    return { action: "GetPublicAccessBlock", input, protocol: "s3" };
  }
  const form = Object.fromEntries(new URLSearchParams(body));
  return { action: form["Action"] ?? "", input: form, protocol: "xml" };
}

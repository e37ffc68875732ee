import { hostOf, signatureV4 } from "#aws";
import { readXml, textAt, type Xml } from "./xml.ts";

/** Input of a call. Lists are numbered from 1 on the wire, as Query services require. */
export type Parameters = { [name: string]: string | number | boolean | readonly (string | Parameters)[] | Parameters };

/** Calls an action of EC2 and resolves with its response. Rejects with an Error whose name is EC2's code. */
export type Ec2 = (action: string, input?: Parameters) => Promise<Xml>;

export interface Ec2Options {
  region: string;
  credentials: () => Promise<{ accessKeyId: string; secretAccessKey: string; sessionToken?: string }>;
  /** Defaults to the region's endpoint. */
  endpoint?: string | undefined;
  fetch?: typeof fetch;
}

const version = "2016-11-15";
/** Milliseconds. */
const requestTimeout = 10_000;

/**
 * EC2 by its Query protocol, for the few actions that are used here. The SDK's client holds the schemas of all its
 * actions in one module, which adds 553 KB to a bundle even when a single action is called.
 */
export function ec2Query({ region, credentials, endpoint, fetch: send = fetch }: Ec2Options): Ec2 {
  const url = new URL(endpoint ?? `https://${hostOf("ec2", region)}`);
  const signer = signatureV4({ service: "ec2", region, credentials });
  return async (action, input = {}) => {
    const body = new URLSearchParams([["Action", action], ["Version", version], ...flatten(input)]).toString();
    const signed = await signer.sign({
      method: "POST",
      protocol: url.protocol,
      hostname: url.hostname,
      path: url.pathname,
      headers: { host: url.host, "content-type": "application/x-www-form-urlencoded; charset=utf-8" },
      body,
    });
    const { host, ...headers } = signed.headers;
    const signal = AbortSignal.timeout(requestTimeout);
    const answer = await send(url, { method: "POST", headers, body, redirect: "error", signal });
    const read = readXml(await answer.text());
    if (answer.ok) return read[`${action}Response`] as Xml;
    throw failure(action, answer.status, read as Xml);
  };
}

function failure(action: string, status: number, body: Xml): Error {
  const code = textAt(body, "Response", "Errors", "Error", "Code") || `Http${status}`;
  const message = textAt(body, "Response", "Errors", "Error", "Message") || code;
  return Object.assign(new Error(`${action}: ${message}`), { name: code, status });
}

function flatten(input: Parameters, prefix = ""): [string, string][] {
  return Object.entries(input).flatMap(([name, value]): [string, string][] => {
    if (Array.isArray(value)) {
      return value.flatMap((one: string | Parameters, index) =>
        typeof one === "object"
          ? flatten(one, `${prefix}${name}.${index + 1}.`)
          : [[`${prefix}${name}.${index + 1}`, one] as [string, string]],
      );
    }
    if (typeof value === "object") return flatten(value as Parameters, `${prefix}${name}.`);
    return [[`${prefix}${name}`, String(value)]];
  });
}

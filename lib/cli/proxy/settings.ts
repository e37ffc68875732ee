import { readFileSync } from "node:fs";
import * as z from "zod";
import { messageOf } from "#base";

export interface ProxyOptions {
  /** The JSON file of `cdk deploy --outputs-file`; the next four options take precedence. */
  outputs?: string | undefined;
  server?: string | undefined;
  link?: string | undefined;
  clusterId?: string | undefined;
  region?: string | undefined;
  port: number;
  /** The kubeconfig file. Defaults to the standard output. */
  kubeconfig?: string | undefined;
  /** File with the CA of the cluster's certificates, in PEM. */
  ca?: string | undefined;
  verbose: boolean;
}

/** The endpoints of a cluster on AWS. */
export interface Settings {
  /** The API's URL, without the part for signed requests. */
  server: string;
  /** `wss://…`: the WebSocket API. */
  link: string;
  region: string;
  clusterId: string | undefined;
}

/** The output of `cdk deploy --outputs-file`: stacks by name, with their outputs. */
const Outputs = z.record(z.string(), z.record(z.string(), z.string()));
const outputNames = { server: "Endpoint", link: "Dial", clusterId: "ClusterId" } as const;

/**
 * Reads the cluster's endpoints from options and outputs; options take precedence. Throws an Error with one line that
 * names what is missing.
 */
export function settingsOf(options: ProxyOptions): Settings {
  const outputs = options.outputs === undefined ? {} : outputsIn(options.outputs);
  const server = urlOf("--server", options.server ?? outputs.server, "https")?.replace(/(?:\/iam)?\/*$/, "");
  const link = urlOf("--link", options.link ?? outputs.link, "wss");
  const clusterId = options.clusterId ?? outputs.clusterId;
  // A cluster's id is its account, its region and its name.
  const region = options.region ?? clusterId?.split("/")[1];
  const missing = Object.entries({ "--server": server, "--link": link, "--region": region })
    .filter(([, value]) => value === undefined)
    .map(([name]) => name);
  if (server === undefined || link === undefined || region === undefined) {
    const instead = options.outputs === undefined ? " (or --outputs with the output of cdk deploy --outputs-file)" : "";
    throw new Error(`required: ${missing.join(" and ")}${instead}`);
  }
  return { server, link, region, clusterId };
}

/** A URL with TLS, except to this machine: signed requests carry a session token. */
function urlOf(flag: string, text: string | undefined, protocol: "https" | "wss"): string | undefined {
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const here = url !== undefined && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  const isRight = url?.protocol === `${protocol}:` || (here && url.protocol === `${protocol.slice(0, -1)}:`);
  if (!url || !isRight || url.username !== "" || url.search !== "" || url.hash !== "")
    throw new Error(`${flag}: ${text} is not a URL such as ${protocol}://example.com/live`);
  return url.href;
}

function outputsIn(path: string): { server?: string; link?: string; clusterId?: string } {
  let read: z.infer<typeof Outputs>;
  try {
    read = Outputs.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (error) {
    const isAbsent = (error as NodeJS.ErrnoException).code === "ENOENT";
    const isOther = error instanceof z.ZodError || error instanceof SyntaxError;
    const why = isAbsent ? "not found" : isOther ? "not an output of cdk deploy --outputs-file" : messageOf(error);
    throw new Error(`--outputs ${path}: ${why}`);
  }
  const stacks = Object.values(read).filter((outputs) => Object.values(outputNames).every((name) => outputs[name]));
  if (stacks.length !== 1) {
    const why = stacks.length === 0 ? "no stack in it is a cluster" : "it contains several clusters";
    throw new Error(`--outputs ${path}: ${why}`);
  }
  const [outputs] = stacks;
  return Object.fromEntries(Object.entries(outputNames).map(([key, name]) => [key, outputs?.[name]]));
}

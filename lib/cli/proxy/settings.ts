import { readFileSync } from "node:fs";
import * as z from "zod";
import { messageOf } from "#base";

export interface ProxyOptions {
  /** File of JSON that `cdk deploy --outputs-file` has written; the next four go before what it says. */
  outputs?: string;
  server?: string;
  link?: string;
  clusterId?: string;
  region?: string;
  port: number;
  /** File that gets the kubeconfig; the standard output without it. */
  kubeconfig?: string;
  /** File with the authority of the cluster's certificates, in PEM. */
  ca?: string;
  verbose: boolean;
}

/** Where a cluster on AWS is. */
export interface Settings {
  /** The API's URL, without the part for signed requests. */
  server: string;
  /** `wss://…`: the WebSocket API. */
  link: string;
  region: string;
  clusterId: string | undefined;
}

/** What `cdk deploy --outputs-file` writes: a stack's name, and what it says of itself. */
const Outputs = z.record(z.string(), z.record(z.string(), z.string()));
const outputNames = { server: "Endpoint", link: "Dial", clusterId: "ClusterId" } as const;

/** Reads where the cluster is from words and outputs; words win. Throws an Error of one line that names what is missing. */
export function settingsOf(words: ProxyOptions): Settings {
  const told = words.outputs === undefined ? {} : outputsIn(words.outputs);
  const server = urlOf("--server", words.server ?? told.server, "https")?.replace(/(?:\/iam)?\/*$/, "");
  const link = urlOf("--link", words.link ?? told.link, "wss");
  const clusterId = words.clusterId ?? told.clusterId;
  // A cluster's id is its account, its region and its name.
  const region = words.region ?? clusterId?.split("/")[1];
  const missing = Object.entries({ "--server": server, "--link": link, "--region": region })
    .filter(([, value]) => value === undefined)
    .map(([name]) => name);
  if (server === undefined || link === undefined || region === undefined) {
    const instead =
      words.outputs === undefined ? " (or --outputs with what cdk deploy --outputs-file has written)" : "";
    throw new Error(`it must be told ${missing.join(" and ")}${instead}`);
  }
  return { server, link, region, clusterId };
}

/** Signed requests carry a session's token: nothing of them goes in clear but to this machine. */
function urlOf(flag: string, text: string | undefined, protocol: "https" | "wss"): string | undefined {
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const here = url !== undefined && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  const isRight = url?.protocol === `${protocol}:` || (here && url.protocol === `${protocol.slice(0, -1)}:`);
  if (!url || !isRight || url.username !== "" || url.search !== "" || url.hash !== "")
    throw new Error(`${flag}: ${text} is no URL such as ${protocol}://example.com/live`);
  return url.href;
}

function outputsIn(path: string): { server?: string; link?: string; clusterId?: string } {
  let read: z.infer<typeof Outputs>;
  try {
    read = Outputs.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (error) {
    const isAbsent = (error as NodeJS.ErrnoException).code === "ENOENT";
    const isOther = error instanceof z.ZodError || error instanceof SyntaxError;
    const why = isAbsent ? "not found" : isOther ? "not what cdk deploy --outputs-file writes" : messageOf(error);
    throw new Error(`--outputs ${path}: ${why}`);
  }
  const stacks = Object.values(read).filter((outputs) => Object.values(outputNames).every((name) => outputs[name]));
  if (stacks.length !== 1) {
    const why = stacks.length === 0 ? "no stack in it is a cluster" : "it holds several clusters";
    throw new Error(`--outputs ${path}: ${why}`);
  }
  const [outputs] = stacks;
  return Object.fromEntries(Object.entries(outputNames).map(([key, name]) => [key, outputs?.[name]]));
}

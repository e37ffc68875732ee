import { get as getPlain } from "node:http";
import { get as getSecure } from "node:https";
import type { Sts } from "./authenticator.ts";

const patience = 10_000;
/** The limit of an answer of STS, which has some five hundred bytes. */
const longestAnswer = 64 * 1024;

/**
 * Sends a token's request to STS, at its own host or at `instead`. Follows no redirect: the caller sees its status. It
 * does not use fetch, which a cold function would load for this request alone.
 */
export const askSts =
  (instead?: string): Sts =>
  (url, headers) => {
    const target = instead ? new URL(new URL(url).search, instead) : new URL(url);
    const get = target.protocol === "https:" ? getSecure : getPlain;
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
    const request = get(target, { headers, signal: AbortSignal.timeout(patience) }, (answer) => {
      let body = "";
      answer.setEncoding("utf8");
      answer.on("data", (chunk: string) => {
        body += chunk;
        if (body.length > longestAnswer)
          answer.destroy(new Error(`the answer of STS is larger than ${longestAnswer} bytes`));
      });
      answer.on("error", reject);
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body }));
    });
    request.on("error", reject);
    return promise;
  };

import { get as getPlain } from "node:http";
import { get as getSecure } from "node:https";
import type { Sts } from "./authenticator.ts";

const patience = 10_000;
/** What STS says has some five hundred bytes. */
const longestAnswer = 64 * 1024;

/**
 * Asks STS what a token asks: at its own host, or at `instead`. Follows no redirect: the caller sees its status. Not by
 * fetch, which a cold function would load for this one question.
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
        if (body.length > longestAnswer) answer.destroy(new Error(`STS said more than ${longestAnswer} bytes`));
      });
      answer.on("error", reject);
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body }));
    });
    request.on("error", reject);
    return promise;
  };

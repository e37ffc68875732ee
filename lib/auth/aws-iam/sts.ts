import type { Sts } from "./authenticator.ts";

const patience = 10_000;

/** Asks STS what a token asks: at its own host, or at `instead`; a redirect is an error. */
export const askSts =
  (instead?: string): Sts =>
  async (url, headers) => {
    const target = instead ? new URL(new URL(url).search, instead).href : url;
    const answer = await fetch(target, { headers, redirect: "error", signal: AbortSignal.timeout(patience) });
    return { status: answer.status, body: await answer.text() };
  };

import type { Pod } from "#api";
import { messageOf, sleep } from "#base";
import type { Source, SourceOptions } from "./folder.ts";
import { longestManifest, readManifest } from "./manifest.ts";

export interface UrlOptions extends SourceOptions {
  url: string;
  headers?: Readonly<Record<string, string>> | undefined;
}

/** Upstream's httpCheckFrequency, and the time that its kubelet gives a request. */
const pollMilliseconds = 20_000;
const requestMilliseconds = 10_000;

/**
 * Follows the manifests at a URL: a Pod, a PodList or a List. While the URL does not answer 200 with a good manifest,
 * the last good one counts. An empty answer has no pods.
 */
export function followUrl(options: UrlOptions): Source {
  const { url, clock, update, faults } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const first = Promise.withResolvers<void>();
  let known: Buffer | undefined;
  const follow = async (): Promise<void> => {
    while (!signal.aborted) {
      try {
        const text = await fetchManifest(options, signal);
        if (!known?.equals(text)) update(text.length === 0 ? [] : await podsIn(text, options));
        known = text;
        first.resolve();
        faults([]);
      } catch (error) {
        if (!signal.aborted) faults([{ place: url, message: messageOf(error) }]);
      }
      await sleep(clock, pollMilliseconds, signal);
    }
  };
  const running = follow();
  return {
    read: first.promise,
    stop: async () => {
      stopping.abort();
      await running;
    },
  };
}

const podsIn = (text: Buffer, { url, node }: UrlOptions): Promise<Pod[]> =>
  readManifest(text, { source: "http", place: url, node });

/** Reads the answer; gives up after ten seconds, and as soon as it is too long. */
async function fetchManifest({ url, headers = {}, clock }: UrlOptions, stopping: AbortSignal): Promise<Buffer> {
  const late = new AbortController();
  const timer = clock.timer(requestMilliseconds, () =>
    late.abort(new Error(`no whole answer within ${requestMilliseconds / 1000} s`)),
  );
  try {
    const answer = await fetch(url, { headers: { ...headers }, signal: AbortSignal.any([stopping, late.signal]) });
    if (answer.status !== 200) {
      await answer.body?.cancel();
      throw new Error(`the answer was ${answer.status} ${answer.statusText}`.trimEnd());
    }
    const pieces: Uint8Array[] = [];
    let length = 0;
    for await (const piece of answer.body ?? []) {
      pieces.push(piece);
      length += piece.length;
      if (length > longestManifest) throw new Error(`the answer has more than ${longestManifest} bytes`);
    }
    return Buffer.concat(pieces);
  } catch (error) {
    throw error instanceof TypeError && error.cause ? error.cause : error;
  } finally {
    timer.cancel();
  }
}

/** A part of a stream, oldest first; times are milliseconds since the epoch. */
export interface Page {
  events: { at: number; text: string }[];
  /** Tokens of the next page in either direction; unchanged at an end of the stream. */
  forward: string | undefined;
  backward: string | undefined;
}

export interface PageRequest {
  start?: number | undefined;
  /** From the beginning, or from the end. */
  head: boolean;
  token?: string | undefined;
  limit: number;
}

/** The stored logs of containers. */
export interface PodLogs {
  /** Undefined when the stream does not exist. */
  page(group: string, stream: string, request: PageRequest): Promise<Page | undefined>;
}

/** CloudWatch Logs. Its client is loaded at the first call: few requests are for logs. */
export function podLogs(): PodLogs {
  let opened: Promise<PodLogs> | undefined;
  return {
    async page(...request) {
      opened ??= import("./cloud-watch-logs.ts").then(({ cloudWatchLogs }) => cloudWatchLogs());
      return (await opened).page(...request);
    },
  };
}

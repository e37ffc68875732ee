/** A part of a stream, oldest first; times are milliseconds since the epoch. */
export interface Page {
  events: { at: number; text: string }[];
  /** Where to go on from, in either direction; the same as before at an end. */
  forward: string | undefined;
  backward: string | undefined;
}

export interface Asked {
  start?: number | undefined;
  /** From the beginning, or the last that there is. */
  head: boolean;
  token?: string | undefined;
  limit: number;
}

/** Where it is kept what containers said. */
export interface PodLogs {
  /** Undefined when there is no such stream. */
  page(group: string, stream: string, asked: Asked): Promise<Page | undefined>;
}

/** CloudWatch Logs, loaded when it is first asked: few requests are for logs. */
export function podLogs(): PodLogs {
  let opened: Promise<PodLogs> | undefined;
  return {
    async page(...asked) {
      opened ??= import("./cloud-watch-logs.ts").then(({ cloudWatchLogs }) => cloudWatchLogs());
      return (await opened).page(...asked);
    },
  };
}

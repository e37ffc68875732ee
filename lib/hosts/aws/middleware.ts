import type { Readable } from "node:stream";
import middy, { type MiddlewareObj } from "@middy/core";
import { executionModeStreamifyResponse } from "@middy/core/StreamifyResponse";
import type { Context } from "aws-lambda";
import type { z } from "zod";
import { log, logger } from "./log.ts";

/** What a streaming function answers: the body is pulled as the client takes it. */
export interface StreamedAnswer {
  statusCode: number;
  headers: Record<string, string>;
  body: string | Readable;
}

/** Who calls, in every line of the log. */
const logged = (): MiddlewareObj => ({
  before: ({ context }) => logger.addContext(context as Context),
});

const longestComplaint = 300;

/** Events are read by their schema; what is none of it is refused before anything is done. */
const read = (schema: z.ZodType): MiddlewareObj => ({
  before: (request) => {
    const event = schema.safeParse(request.event);
    if (!event.success) {
      const [issue] = event.error.issues;
      const words = `the event's ${issue?.path.join(".") || "root"}: ${issue?.message}`;
      // Names in the event come along: with megabytes of them the runtime is busy until its time is over.
      throw new TypeError(words.slice(0, longestComplaint));
    }
    request.event = event.data;
  },
});

/** What went wrong is in the log, whoever is told of it. */
const failing = (): MiddlewareObj => ({
  onError: ({ error }) => log.error("the function failed", { error }),
});

/** The one stack of middlewares, around a function whose events have a schema. */
export const lambda = <S extends z.ZodType, R>(schema: S, work: (event: z.infer<S>, context: Context) => Promise<R>) =>
  middy((event: z.infer<S>, context: Context) => work(event, context))
    .use(logged())
    .use(failing())
    .use(read(schema));

/** The same for a function whose answers are streamed. `refuse` answers for a bad event and for every throw. */
export const streaming = <S extends z.ZodType>(
  schema: S,
  work: (event: z.infer<S>, context: Context) => Promise<StreamedAnswer>,
  refuse: (error: unknown) => StreamedAnswer,
) =>
  middy((event: z.infer<S>, context: Context) => work(event, context), {
    executionMode: executionModeStreamifyResponse,
  })
    .use(logged())
    .use({
      onError: (request) => {
        log.error("the function failed", { error: request.error });
        request.response = refuse(request.error);
      },
    } as MiddlewareObj)
    .use(read(schema));

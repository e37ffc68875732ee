import type { Readable } from "node:stream";
import middy, { type MiddlewareObj } from "@middy/core";
import { executionModeStreamifyResponse } from "@middy/core/StreamifyResponse";
import type { Context } from "aws-lambda";
import type { z } from "zod";
import { log, logger } from "./log.ts";

/** The response of a streaming function. The client's reads pull the body. */
export interface StreamedAnswer {
  statusCode: number;
  headers: Record<string, string>;
  body: string | Readable;
}

/** Adds the invocation's context to every line of the log. */
const logged = (): MiddlewareObj => ({
  before: ({ context }) => logger.addContext(context as Context),
});

const longestComplaint = 300;

/** Events that do not match the schema are rejected before any work starts. */
const read = (schema: z.ZodType): MiddlewareObj => ({
  before: (request) => {
    const event = schema.safeParse(request.event);
    if (!event.success) {
      const [issue] = event.error.issues;
      const words = `the event's ${issue?.path.join(".") || "root"}: ${issue?.message}`;
      // The message contains names of the event; writing megabytes of them would take the runtime's whole time.
      throw new TypeError(words.slice(0, longestComplaint));
    }
    request.event = event.data;
  },
});

/** Every failure is logged, whatever the caller receives. */
const failing = (): MiddlewareObj => ({
  onError: ({ error }) => log.error("the function failed", { error }),
});

/** The stack of middlewares around a function whose events have a schema. */
export const lambda = <S extends z.ZodType, R>(schema: S, work: (event: z.infer<S>, context: Context) => Promise<R>) =>
  middy((event: z.infer<S>, context: Context) => work(event, context))
    .use(logged())
    .use(failing())
    .use(read(schema));

/** The same for a function with streamed responses. `refuse` answers malformed events and every throw. */
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

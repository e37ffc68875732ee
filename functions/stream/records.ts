import * as z from "zod";
import type { Item } from "#store/dynamo";

/** An attribute in a stream event: the SDK's form, except for bytes, which are in Base64. */
const attribute: z.ZodType = z.lazy(() =>
  z.union([
    z.object({ S: z.string() }),
    z.object({ N: z.string() }),
    z.object({ B: z.base64() }),
    z.object({ BOOL: z.boolean() }),
    z.object({ NULL: z.boolean() }),
    z.object({ M: z.record(z.string(), attribute) }),
    z.object({ L: z.array(attribute) }),
    z.object({ SS: z.array(z.string()) }),
  ]),
);

/** An event of the stream of `changes`. */
export const StreamEvent = z.object({
  Records: z.array(
    z.object({
      eventID: z.string(),
      dynamodb: z.object({ NewImage: z.record(z.string(), attribute), SequenceNumber: z.string() }),
    }),
  ),
});

export type StreamEvent = z.infer<typeof StreamEvent>;

type Attribute = Record<string, unknown>;

/** An image as the SDK would have read it. */
export const imageOf = (image: Record<string, unknown>): Item => mapped(image) as Item;

const mapped = (attributes: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name, read(value as Attribute)]));

function read(value: Attribute): Attribute {
  if (typeof value["B"] === "string") return { B: Buffer.from(value["B"], "base64") };
  if (value["M"]) return { M: mapped(value["M"] as Record<string, unknown>) };
  if (value["L"]) return { L: (value["L"] as Attribute[]).map(read) };
  return value;
}

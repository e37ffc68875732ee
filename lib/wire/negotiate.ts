import { notAcceptable } from "#base";
import { bodyTypes } from "./body.ts";

/** The form that an answer takes. */
export interface Format {
  encoding: "json" | "yaml" | "protobuf";
  /** What to make of the object or list: a table, or only its metadata. */
  as?: "Table" | "PartialObjectMetadata";
  /** The metadata is wanted of a list and of no single object. */
  ofList?: true;
  /** Version of meta.k8s.io for `as`. */
  version?: "v1" | "v1beta1";
  /** Spread JSON over lines, for people with curl. */
  pretty?: boolean;
}

interface Clause {
  type: string;
  parameters: Map<string, string>;
  quality: number;
}

/** The clauses of an Accept header, best first. */
export function parseAccept(header: string): Clause[] {
  const clauses = header.split(",").flatMap((text, index): (Clause & { index: number })[] => {
    const [type = "", ...rest] = text.split(";").map((part) => part.trim());
    if (type === "") return [];
    const parameters = new Map<string, string>();
    for (const parameter of rest) {
      const at = parameter.indexOf("=");
      if (at > 0) parameters.set(parameter.slice(0, at), parameter.slice(at + 1));
    }
    return [{ type: type.toLowerCase(), parameters, quality: Number(parameters.get("q") ?? 1), index }];
  });
  return clauses.sort((a, b) => b.quality - a.quality || a.index - b.index);
}

const encodings: Record<string, Format["encoding"]> = {
  "application/json": "json",
  "application/yaml": "yaml",
  "*/*": "json",
};

const targets: Record<string, NonNullable<Format["as"]>> = {
  Table: "Table",
  PartialObjectMetadata: "PartialObjectMetadata",
  PartialObjectMetadataList: "PartialObjectMetadata",
};

/** Known answers to known headers: clients repeat the same few. */
const known = new Map<string, Format>();

export interface NegotiationOptions {
  /** The encodings that the place can answer in; JSON and YAML by default (watches know no YAML). */
  only?: readonly Format["encoding"][];
  /** Whether the place makes tables, which it does by default. */
  tables?: boolean;
}

/** Chooses the form of an answer by the Accept header. Throws ApiError 406 when nothing fits. */
export function negotiate(
  accept: string | undefined,
  { only = ["json", "yaml"], tables = true }: NegotiationOptions = {},
): Format {
  if (accept === undefined || accept === "") return { encoding: "json" };
  const cacheKey = `${only.join()} ${tables} ${accept}`;
  const cached = known.get(cacheKey);
  if (cached) return cached;
  for (const { type, parameters } of parseAccept(accept)) {
    const encoding = encodings[type];
    if (!encoding || !only.includes(encoding)) continue;
    const as = parameters.get("as");
    const format: Format = { encoding };
    if (parameters.get("pretty") === "1") format.pretty = true;
    if (as !== undefined) {
      const target = targets[as];
      const version = parameters.get("v");
      if (!target || parameters.get("g") !== "meta.k8s.io" || (version !== "v1" && version !== "v1beta1")) continue;
      if (target === "Table" && !tables) continue;
      format.as = target;
      format.version = version;
      if (as === "PartialObjectMetadataList") format.ofList = true;
    } else if (parameters.has("v") || parameters.has("g")) continue;
    if (known.size < 256) known.set(cacheKey, format);
    return format;
  }
  throw notAcceptable(only.map((encoding) => bodyTypes[encoding]));
}

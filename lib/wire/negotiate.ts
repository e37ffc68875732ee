import { ApiError, notAcceptable } from "#base";
import { bodyTypes } from "./body.ts";

/** The form that an answer takes. */
export interface Format {
  encoding: "json" | "yaml" | "protobuf";
  /** What to make of the object or list: a table, or only its metadata. */
  as?: "Table" | "PartialObjectMetadata";
  /** The metadata of a list, not of a single object. */
  ofList?: true;
  /** Version of meta.k8s.io for `as`. */
  version?: "v1" | "v1beta1";
  /** Indented JSON, for curl. */
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

const encodings: ReadonlyMap<string, Format["encoding"]> = new Map([
  ["application/json", "json"],
  ["application/yaml", "yaml"],
  ["application/vnd.kubernetes.protobuf", "protobuf"],
  ["*/*", "json"],
]);

const targets: ReadonlyMap<string, NonNullable<Format["as"]>> = new Map([
  ["Table", "Table"],
  ["PartialObjectMetadata", "PartialObjectMetadata"],
  ["PartialObjectMetadataList", "PartialObjectMetadata"],
]);

/** Known answers to known headers: clients repeat the same few. */
const known = new Map<string, Format>();

export interface NegotiationOptions {
  /** What the path serves: a collection may be watched, which upstream's router counts as forms of its own. */
  path?: "collection" | "watch";
  /** Whether the place makes tables, which it does by default. */
  tables?: boolean;
  /** Whether only the object itself is accepted: an error has no other form. */
  plain?: boolean;
}

const streams = [`${bodyTypes.json};stream=watch`, `${bodyTypes.protobuf};stream=watch`];

/**
 * Chooses the format of an answer by the Accept header: the first that is supported. JSON and YAML have precedence over
 * protobuf where the client accepts both: objects are stored as JSON, which is sent unparsed. Throws ApiError 406 when
 * none is supported, in the words of upstream's router where no type is known, else in those of its negotiation.
 */
export function negotiate(accept: string | undefined, options: NegotiationOptions = {}): Format {
  if (accept === undefined || accept === "") return { encoding: "json" };
  const cacheKey = `${options.path} ${options.tables} ${options.plain} ${accept}`;
  const cached = known.get(cacheKey);
  if (cached) return cached;
  const clauses = parseAccept(accept);
  if (!clauses.some(({ type }) => encodings.has(type))) throw noRepresentation(options);
  const fitting = clauses.flatMap((clause) => formatFor(clause, options) ?? []);
  const format = fitting.find(({ encoding }) => encoding !== "protobuf") ?? fitting[0];
  if (!format) throw notAcceptable(Object.values(bodyTypes));
  if (options.path === "watch" && format.encoding === "yaml") throw notAcceptable(streams);
  if (known.size < 256) known.set(cacheKey, format);
  return format;
}

function noRepresentation({ path }: NegotiationOptions): ApiError {
  const available = [...Object.values(bodyTypes), ...(path === undefined ? [] : streams)];
  const message = `406: Not Acceptable\n\nAvailable representations: ${available.join(", ")}`;
  return new ApiError(406, "NotAcceptable", message, {});
}

function formatFor({ type, parameters }: Clause, { tables = true, plain }: NegotiationOptions): Format | undefined {
  const encoding = encodings.get(type);
  if (!encoding) return undefined;
  const format: Format = { encoding };
  if (parameters.get("pretty") === "1") format.pretty = true;
  const as = parameters.get("as");
  if (as === undefined) return parameters.has("v") || parameters.has("g") ? undefined : format;
  const target = targets.get(as);
  const version = parameters.get("v");
  if (plain || !target || parameters.get("g") !== "meta.k8s.io") return undefined;
  if (version !== "v1" && version !== "v1beta1") return undefined;
  // The cells of a table are any JSON.
  if (target === "Table" && (!tables || encoding === "protobuf")) return undefined;
  format.as = target;
  format.version = version;
  if (as === "PartialObjectMetadataList") format.ofList = true;
  return format;
}

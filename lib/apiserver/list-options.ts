import { type Kind, parseFieldSelector, parseSelector } from "#api/meta";
import { badRequest, invalid, type StatusCause } from "#base";
import { decodeContinue, type ListParameters, type Selection, selection } from "#resources";
import { booleanOption, integerOption } from "./query.ts";

/** Reads `labelSelector` and `fieldSelector`. Throws ApiError 400 for what cannot be parsed or is not selectable. */
export function selectionOf(kind: Kind, namespace: string, query: URLSearchParams): Selection {
  const labels = parseSelector(query.get("labelSelector") ?? "");
  const fields = parseFieldSelector(query.get("fieldSelector") ?? "");
  return selection(kind, namespace, labels, fields);
}

const noContinue = "resourceVersionMatch is forbidden when continue is provided";

/** Reads ListOptions; `prefix` is that of the keys in the list. Throws ApiError 400 or 422 naming what is wrong. */
export function listParameters(query: URLSearchParams, prefix: string, watching = false): ListParameters {
  const causes: StatusCause[] = [];
  const forbid = (field: string, message: string) =>
    causes.push({ reason: "FieldValueForbidden", message: `Forbidden: ${message}`, field });
  const revision = query.get("resourceVersion") ?? "";
  const match = query.get("resourceVersionMatch") ?? "";
  const token = query.get("continue") ?? "";
  const initial = booleanOption(query, "sendInitialEvents") ?? null;
  const limit = Math.max(0, integerOption(query, "limit") ?? 0);
  integerOption(query, "timeoutSeconds");
  const unsupported = (values: readonly string[]) => {
    const message = `Unsupported value: "${match}": supported values: ${values.map((value) => `"${value}"`).join(", ")}`;
    causes.push({ reason: "FieldValueNotSupported", message, field: "resourceVersionMatch" });
  };
  const supported = watching ? ["NotOlderThan"] : ["Exact", "NotOlderThan", ""];
  if (watching && initial !== null && match !== "NotOlderThan") {
    forbid("resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
  }
  if (match !== "") {
    if (watching && initial === null) {
      const why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
      forbid("resourceVersionMatch", why);
    } else if (!watching && revision === "") {
      forbid("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided");
    }
    if (token !== "") forbid("resourceVersionMatch", noContinue);
    if (!supported.includes(match)) unsupported(supported);
    if (!watching && match === "Exact" && revision === "0") {
      forbid("resourceVersionMatch", 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"');
    }
  }
  // Upstream reads a watch from nowhere as one with a match of its own.
  if (watching && initial === null && revision === "" && match === "" && token !== "") {
    forbid("resourceVersionMatch", noContinue);
  }
  if (initial !== null && !watching) forbid("sendInitialEvents", "sendInitialEvents is forbidden for list");
  if (causes.length > 0) throw invalid({ group: "meta.k8s.io", kind: "ListOptions" }, "", causes);
  const number = revisionOf(revision);
  if (token !== "" && !watching) {
    if (number > 0) throw badRequest("specifying resource version is not allowed when using continue");
    return { limit: revision === "0" ? 0 : limit, ...decodeContinue(token, prefix) };
  }
  // Upstream serves this from its cache, whole.
  if (revision === "0") return { limit: 0 };
  if (match === "Exact") return { limit, at: number };
  return number > 0 ? { limit, notOlderThan: number } : { limit };
}

/** Digits of a revision, with some zeros before it. */
const longestRevision = 40;

/** The revision of a read; 0 where it has none. Throws ApiError 400 for text that is no revision. */
export function revisionOf(text: string): number {
  if (text === "") return 0;
  const isNumber = /^\d+$/.test(text);
  if (isNumber && text.length <= longestRevision && BigInt(text) < 2n ** 64n) return Number(text);
  const shown = JSON.stringify(text);
  const why = `Invalid value: ${shown}: strconv.ParseUint: parsing ${shown}: ${isNumber ? "value out of range" : "invalid syntax"}`;
  throw badRequest(`invalid resource version: resourceVersion: ${why}`);
}

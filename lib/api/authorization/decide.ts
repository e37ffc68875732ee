import type * as z from "zod";
import {
  type AccessAttributes,
  type AccessContext,
  boolean,
  message,
  optional,
  parseFieldSelector,
  parseSelector,
  required,
  string,
  type User,
} from "../meta/index.ts";
import type { Asked, FieldSelectorAttributes, LabelSelectorAttributes } from "./attributes.ts";

export const SubjectAccessReviewStatus = message("io.k8s.api.authorization.v1.SubjectAccessReviewStatus", () => ({
  allowed: required(1, boolean, "Whether the request is allowed."),
  reason: optional(2, string, "Human-readable message."),
  evaluationError: optional(3, string, "An error of the evaluation; the result may be valid nevertheless."),
  denied: optional(4, boolean, "Whether an authorizer denies the request, whatever others decide."),
}));
export type SubjectAccessReviewStatus = z.infer<typeof SubjectAccessReviewStatus>;

/** A selector as far as it could be read, and whether some or all of it could not. */
interface Read {
  text?: string;
  lost?: "ignored" | "partially ignored";
}

const escaped = (value: string): string => value.replace(/[\\,=]/g, "\\$&");

function readable(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch {
    return false;
  }
}

/** A field selector as a request would carry it. */
function readFields(selector: FieldSelectorAttributes | undefined): Read {
  const { rawSelector = "", requirements = [] } = selector ?? {};
  if (requirements.length === 0) {
    if (rawSelector === "") return {};
    return readable(() => parseFieldSelector(rawSelector)) ? { text: rawSelector } : { lost: "ignored" };
  }
  const terms = requirements.flatMap(({ key, operator, values = [] }) => {
    if (values.length !== 1 || (operator !== "In" && operator !== "NotIn")) return [];
    return [`${key}${operator === "In" ? "=" : "!="}${escaped(values[0]!)}`];
  });
  if (terms.length === 0) return { lost: "ignored" };
  return { text: terms.join(","), ...(terms.length < requirements.length ? { lost: "partially ignored" } : {}) };
}

const labelOperators = ["In", "NotIn", "Exists", "DoesNotExist"];

/** What of a label selector could not be read; no authorizer looks at the rest. */
function readLabels(selector: LabelSelectorAttributes | undefined): Read {
  const { rawSelector = "", requirements = [] } = selector ?? {};
  if (requirements.length === 0) {
    return rawSelector === "" || readable(() => parseSelector(rawSelector)) ? {} : { lost: "ignored" };
  }
  const known = requirements.filter(({ operator }) => labelOperators.includes(operator)).length;
  if (known === requirements.length) return {};
  return { lost: known === 0 ? "ignored" : "partially ignored" };
}

/** Answers a question about access, as a request by `user` would be answered (upstream's registry/authorization). */
export async function decide(user: User, asked: Asked, context: AccessContext): Promise<SubjectAccessReviewStatus> {
  const { resourceAttributes: about, nonResourceAttributes: path } = asked;
  const fields = readFields(about?.fieldSelector);
  const amiss = Object.entries({ fieldSelector: fields.lost, labelSelector: readLabels(about?.labelSelector).lost })
    .filter(([, lost]) => lost !== undefined)
    .map(([name, lost]) => `spec.resourceAttributes.${name} ${lost} due to parse error`);
  const attributes: AccessAttributes = about
    ? {
        user,
        verb: about.verb ?? "",
        path: "",
        fieldSelector: fields.text,
        resource: {
          group: about.group ?? "",
          version: about.version || "*",
          plural: about.resource ?? "",
          subresource: about.subresource ?? "",
          namespace: about.namespace ?? "",
          name: about.name ?? "",
        },
      }
    : { user, verb: path?.verb ?? "", path: path?.path ?? "" };
  const decision = await context.authorize(attributes);
  return {
    allowed: decision?.allowed ?? false,
    ...(decision?.reason ? { reason: decision.reason } : {}),
    ...(amiss.length === 0 ? {} : { evaluationError: amiss.join("; ") }),
  };
}

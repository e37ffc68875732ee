import { badRequest } from "#base";
import { labelKeyErrors, labelValueErrors } from "./names.ts";
import type { LabelSelector } from "./object-meta.ts";

export type LabelOperator = "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt";

/** One requirement on a set of labels; all of a selector's must hold. */
export interface Requirement {
  key: string;
  operator: LabelOperator;
  values: string[];
}

/** A parsed label selector; no requirements match everything. */
export type Selector = readonly Requirement[];

type Labels = Readonly<Record<string, string>> | undefined;

const int64 = { least: -(2n ** 63n), greatest: 2n ** 63n - 1n };

/** A decimal integer of 64 bits, as Go's strconv.ParseInt reads it; undefined for every other text. */
function parseInt64(text: string | undefined): bigint | undefined {
  if (text === undefined || !/^[+-]?\d+$/.test(text)) return undefined;
  const value = BigInt(text);
  return value < int64.least || value > int64.greatest ? undefined : value;
}

const holds = ({ key, operator, values }: Requirement, labels: Labels): boolean => {
  const value = labels && Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "Gt":
    case "Lt": {
      const [left, right] = [parseInt64(value), values.length === 1 ? parseInt64(values[0]) : undefined];
      if (left === undefined || right === undefined) return false;
      return operator === "Gt" ? left > right : left < right;
    }
    default:
      return false;
  }
};

/** Whether labels satisfy every requirement. */
export function matches(selector: Selector, labels: Labels): boolean {
  for (const requirement of selector) if (!holds(requirement, labels)) return false;
  return true;
}

/** A LabelSelector object as requirements. Undefined selects nothing: the caller decides; an empty one selects all. */
export function requirementsOf(selector: LabelSelector): Selector {
  const equal = Object.entries(selector.matchLabels ?? {}).map(
    ([key, value]): Requirement => ({ key, operator: "In", values: [value] }),
  );
  const expressions = (selector.matchExpressions ?? []).map(
    ({ key, operator, values }): Requirement => ({ key, operator: operator as LabelOperator, values: values ?? [] }),
  );
  return [...equal, ...expressions];
}

/** Requirements as the text that `labelSelector` takes, sorted by key, as upstream prints them. */
export function formatSelector(selector: Selector): string {
  const show = ({ key, operator, values }: Requirement): string => {
    switch (operator) {
      case "In":
        return values.length === 1 ? `${key}=${values[0]}` : `${key} in (${[...values].sort().join(",")})`;
      case "NotIn":
        return values.length === 1 ? `${key}!=${values[0]}` : `${key} notin (${[...values].sort().join(",")})`;
      case "Exists":
        return key;
      case "DoesNotExist":
        return `!${key}`;
      case "Gt":
        return `${key}>${values[0]}`;
      case "Lt":
        return `${key}<${values[0]}`;
    }
  };
  return [...selector]
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(show)
    .join(",");
}

/** What is wrong with a part of a requirement: upstream's field.Invalid without the path before it. */
export interface RequirementError {
  /** `key`, `values` or `values[0]`. */
  part: string;
  value: string;
  message: string;
}

/** The errors of a requirement (upstream's labels.NewRequirement). */
export function requirementErrors({ key, operator, values }: Requirement): RequirementError[] {
  const errors: RequirementError[] = [];
  const [keyError] = labelKeyErrors(key);
  if (keyError) errors.push({ part: "key", value: JSON.stringify(key), message: keyError });
  const wrongCount = countError(operator, values);
  if (wrongCount)
    errors.push({ part: "values", value: `[${values.map((v) => JSON.stringify(v)).join(",")}]`, message: wrongCount });
  for (const [index, value] of values.entries()) {
    const at = { part: `values[${index}]`, value: JSON.stringify(value) };
    const compares = operator === "Gt" || operator === "Lt";
    if (compares && parseInt64(value) === undefined) {
      errors.push({ ...at, message: "for 'Gt', 'Lt' operators, the value must be an integer" });
    }
    const [valueError] = labelValueErrors(value);
    if (valueError) errors.push({ ...at, message: valueError });
  }
  return errors;
}

function countError(operator: LabelOperator, values: readonly string[]): string | undefined {
  if (operator === "In" || operator === "NotIn") {
    return values.length === 0 ? "for 'in', 'notin' operators, values set can't be empty" : undefined;
  }
  if (operator === "Gt" || operator === "Lt") {
    return values.length === 1 ? undefined : "for 'Gt', 'Lt' operators, exactly one value is required";
  }
  return values.length === 0 ? undefined : "values set must be empty for exists and does not exist";
}

/** One term of a field selector. */
export interface FieldTerm {
  field: string;
  equal: boolean;
  value: string;
}

/** Parses `fieldSelector`: `a=b,c!=d`, with `\,` `\=` `\\` as escapes. Throws ApiError 400 in upstream's words. */
export function parseFieldSelector(text: string): FieldTerm[] {
  return splitUnescaped(text)
    .filter((part) => part !== "")
    .map((part) => {
      const found = /^(.*?)(!=|==|=)(.*)$/s.exec(part);
      if (!found) throw badRequest(`invalid selector: '${text}'; can't understand '${part}'`);
      return { field: found[1]!, equal: found[2] !== "!=", value: unescaped(found[3]!) };
    })
    .filter(({ field, value }) => field !== "" || value !== "");
}

function unescaped(text: string): string {
  const wrong = (why: string) => badRequest(`invalid field selector: ${why}`);
  const value = text.replace(/\\(.)|[,=\\]/gsu, (found, escaped: string | undefined) => {
    if (escaped === undefined && found !== "\\") {
      throw wrong(`unescaped character in value: ${found.codePointAt(0)}`);
    }
    if (escaped === undefined || !"\\,=".includes(escaped)) throw wrong(`invalid escape sequence: ${found}`);
    return escaped;
  });
  return value;
}

function splitUnescaped(text: string): string[] {
  const parts = [""];
  for (let at = 0; at < text.length; at++) {
    const last = parts.length - 1;
    if (text[at] === ",") {
      parts.push("");
      continue;
    }
    const escaped = text[at] === "\\" && at + 1 < text.length;
    parts[last] = parts[last]! + text.slice(at, escaped ? at + 2 : at + 1);
    if (escaped) at++;
  }
  return parts;
}

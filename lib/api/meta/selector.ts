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

const symbols = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"];

function tokens(text: string): string[] {
  const found: string[] = [];
  for (let at = 0; at < text.length; ) {
    if (/\s/.test(text[at]!)) {
      at++;
      continue;
    }
    const symbol = symbols.find((candidate) => text.startsWith(candidate, at));
    const token = symbol ?? /^[^\s=!(),<>]+/.exec(text.slice(at))![0];
    found.push(token);
    at += token.length;
  }
  return found;
}

const isSymbol = (token: string | undefined): boolean => token === undefined || symbols.includes(token);

/**
 * Parses the `labelSelector` parameter: equality (`a=b`, `a==b`, `a!=b`), sets (`a in (x,y)`, `a notin (x)`),
 * existence (`a`, `!a`) and comparison (`a>1`, `a<1`). Throws ApiError 400 in upstream's words.
 */
export function parseSelector(text: string): Selector {
  const queue = tokens(text);
  const requirements: Requirement[] = [];
  if (queue.length === 0) return requirements;
  const fail = (found: string | undefined, expected: string): never => {
    throw badRequest(`unable to parse requirement: found '${found ?? ""}', expected: ${expected}`);
  };
  const value = (): string => (isSymbol(queue[0]) ? "" : queue.shift()!);
  for (;;) {
    requirements.push(checked(parseRequirement(queue, value, fail)));
    const next = queue.shift();
    if (next === undefined) return requirements;
    if (next !== ",") fail(next, "',' or 'end of string'");
    if (queue.length === 0) fail("", "identifier after ','");
  }
}

function parseRequirement(
  queue: string[],
  value: () => string,
  fail: (found: string | undefined, expected: string) => never,
): Requirement {
  const negated = queue[0] === "!" && queue.shift() !== undefined;
  const key = isSymbol(queue[0]) ? fail(queue[0], "!, identifier, or 'end of string'") : queue.shift()!;
  if (negated) return { key, operator: "DoesNotExist", values: [] };
  const operator = queue[0];
  if (operator === undefined || operator === ",") return { key, operator: "Exists", values: [] };
  queue.shift();
  if (operator === "=" || operator === "==") return { key, operator: "In", values: [value()] };
  if (operator === "!=") return { key, operator: "NotIn", values: [value()] };
  if (operator === ">" || operator === "<") return { key, operator: operator === ">" ? "Gt" : "Lt", values: [value()] };
  if (operator !== "in" && operator !== "notin") return fail(operator, "in, notin, =, ==, !=, gt, lt");
  if (queue.shift() !== "(") return fail(queue[0], "'('");
  const values = [value()];
  for (let next = queue.shift(); next !== ")"; next = queue.shift()) {
    if (next !== ",") return fail(next, "',' or ')'");
    values.push(value());
  }
  return { key, operator: operator === "in" ? "In" : "NotIn", values };
}

/** What is wrong with a part of a requirement: upstream's field.Invalid without the path before it. */
export interface RequirementError {
  /** `key`, `values` or `values[0]`. */
  part: string;
  value: string;
  message: string;
}

/** What keeps a requirement from being used (upstream's labels.NewRequirement); empty where nothing does. */
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

function checked(requirement: Requirement): Requirement {
  const [error] = requirementErrors(requirement);
  if (!error) return requirement;
  const at = error.part === "key" ? "key" : `${error.part}[${requirement.key}]`;
  throw badRequest(`unable to parse requirement: ${at}: Invalid value: ${error.value}: ${error.message}`);
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
      const found = /^((?:\\.|[^\\=!])*)(!=|==|=)(.*)$/s.exec(part);
      if (!found) throw badRequest(`invalid selector: '${text}'; can't understand '${part}'`);
      const value = found[3]!;
      if (/(?:^|[^\\])(?:\\\\)*=/.test(value)) {
        throw badRequest(`invalid field selector: invalid escape sequence in value: ${value}`);
      }
      return { field: found[1]!, equal: found[2] !== "!=", value: value.replace(/\\(.)/gs, "$1") };
    });
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

import type { AccessRule } from "../meta/index.ts";

/*
 * How rules compare (upstream's component-helpers/auth/rbac/validation): every rule is taken apart into rules of one
 * verb on one thing, and each of these must be covered by one rule of the other side as a whole.
 */

/** The rules of one verb on one resource, name or path in `wanted` that `held` does not cover. */
export function missingRules(held: readonly AccessRule[], wanted: readonly AccessRule[]): AccessRule[] {
  return wanted.flatMap(takenApart).filter((part) => !held.some((rule) => coversPart(rule, part)));
}

/** Whether the rules `held` cover all of `wanted`. */
export const covers = (held: readonly AccessRule[], wanted: readonly AccessRule[]): boolean =>
  missingRules(held, wanted).length === 0;

function takenApart(rule: AccessRule): AccessRule[] {
  const { verbs = [], apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
  const parts: AccessRule[] = [];
  for (const group of apiGroups) {
    for (const resource of resources) {
      for (const verb of verbs) {
        const part = { verbs: [verb], apiGroups: [group], resources: [resource] };
        if (resourceNames.length === 0) parts.push(part);
        else parts.push(...resourceNames.map((name) => ({ ...part, resourceNames: [name] })));
      }
    }
  }
  for (const path of nonResourceURLs) {
    parts.push(...verbs.map((verb) => ({ verbs: [verb], nonResourceURLs: [path] })));
  }
  return parts;
}

const holds = (set: readonly string[] | undefined, value: string | undefined): boolean =>
  value === undefined || (set?.includes("*") ?? false) || (set?.includes(value) ?? false);

function coversPart(rule: AccessRule, part: AccessRule): boolean {
  const { verbs, apiGroups, resources, resourceNames = [], nonResourceURLs = [] } = rule;
  const [name] = part.resourceNames ?? [];
  const namesMatch = resourceNames.length === 0 || (name !== undefined && resourceNames.includes(name));
  return (
    holds(verbs, part.verbs[0]) &&
    holds(apiGroups, part.apiGroups?.[0]) &&
    coversResource(resources, part.resources?.[0]) &&
    namesMatch &&
    coversPath(nonResourceURLs, part.nonResourceURLs?.[0])
  );
}

function coversResource(resources: readonly string[] | undefined, wanted: string | undefined): boolean {
  if (holds(resources, wanted) || wanted === undefined) return true;
  const slash = wanted.indexOf("/");
  return slash >= 0 && holds(resources, `*${wanted.slice(slash)}`);
}

function coversPath(paths: readonly string[], wanted: string | undefined): boolean {
  if (wanted === undefined) return true;
  return paths.some((path) => path === wanted || (path.endsWith("*") && wanted.startsWith(path.replace(/\*+$/, ""))));
}

/** Merges rules that differ only in their verbs, for messages (upstream's CompactRules). */
export function compactRules(rules: readonly AccessRule[]): AccessRule[] {
  const compact = new Map<string, AccessRule>();
  for (const { verbs, ...what } of rules.filter(({ nonResourceURLs }) => !nonResourceURLs)) {
    const key = JSON.stringify(what);
    const known = compact.get(key);
    if (known) known.verbs.push(...verbs);
    else compact.set(key, { verbs: [...verbs], ...what });
  }
  return [...rules.filter(({ nonResourceURLs }) => nonResourceURLs), ...compact.values()];
}

/** A list of texts as Go prints it with %q. */
export const quoted = (texts: readonly string[]): string => `[${texts.map((text) => JSON.stringify(text)).join(" ")}]`;

/** A rule in upstream's short form: `{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}`. */
export function describeRule(rule: AccessRule): string {
  const parts = {
    APIGroups: rule.apiGroups,
    Resources: rule.resources,
    NonResourceURLs: rule.nonResourceURLs,
    ResourceNames: rule.resourceNames,
    Verbs: rule.verbs,
  };
  const texts = Object.entries(parts).flatMap(([name, values]) =>
    values?.length ? [`${name}:${quoted(values)}`] : [],
  );
  return `{${texts.join(", ")}}`;
}

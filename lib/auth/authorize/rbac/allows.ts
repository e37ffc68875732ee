import type { AccessRule } from "#api/meta";
import type { Attributes } from "../../port.ts";

const has = (values: readonly string[] | undefined, wanted: string): boolean =>
  values !== undefined && (values.includes(wanted) || values.includes("*"));

/** Whether one rule allows a request (upstream's RuleAllows). */
export function allows(rule: AccessRule, { verb, resource, path }: Attributes): boolean {
  if (!has(rule.verbs, verb)) return false;
  if (!resource) return rule.nonResourceURLs?.some((pattern) => matchesPath(pattern, path)) ?? false;
  const { group, plural, subresource, name } = resource;
  if (!has(rule.apiGroups, group)) return false;
  const what = subresource === "" ? plural : `${plural}/${subresource}`;
  const everyPart = subresource !== "" && (rule.resources?.includes(`*/${subresource}`) ?? false);
  if (!everyPart && !has(rule.resources, what)) return false;
  return !rule.resourceNames?.length || rule.resourceNames.includes(name);
}

/** A path, or a prefix that ends in `*`. */
function matchesPath(pattern: string, path: string): boolean {
  return pattern === path || (pattern.endsWith("*") && path.startsWith(pattern.replace(/\*+$/, "")));
}

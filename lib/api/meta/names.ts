/**
 * Rules for names, labels, keys and ports. Each function returns what is wrong, in upstream's words; an empty list
 * means that the value is fine. Lengths count bytes.
 */
import { ipErrors } from "./ip.ts";
import type { NameRule } from "./kind.ts";

const bytesOf = (text: string): number => {
  // Nearly every name is ASCII: only others need encoding.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the whole of ASCII is meant.
  return /^[\x00-\x7f]*$/.test(text) ? text.length : new TextEncoder().encode(text).length;
};

export const tooManyCharacters = (maximum: number): string => `must be no more than ${maximum} characters`;
const tooManyBytes = (maximum: number): string => `must be no more than ${maximum} bytes`;
export const notBetween = (low: number, high: number): string => `must be between ${low} and ${high}, inclusive`;

/** Upstream's sentence for a pattern that did not match. */
export function patternError(message: string, pattern: string, ...examples: string[]): string {
  if (examples.length === 0) return `${message} (regex used for validation is '${pattern}')`;
  return `${message} (e.g. ${examples.map((example) => `'${example}', `).join(" or ")}regex used for validation is '${pattern}')`;
}

interface Rule {
  pattern: RegExp;
  source: string;
  message: string;
  examples: string[];
  maximum?: number;
}

const rule = (source: string, message: string, examples: string[], maximum?: number): Rule => ({
  pattern: new RegExp(`^(?:${source})$`),
  source,
  message,
  examples,
  ...(maximum === undefined ? {} : { maximum }),
});

function errorsOf(value: string, by: Rule, tooLong: (maximum: number) => string): string[] {
  const errors: string[] = [];
  if (by.maximum !== undefined && bytesOf(value) > by.maximum) errors.push(tooLong(by.maximum));
  if (!by.pattern.test(value)) errors.push(patternError(by.message, by.source, ...by.examples));
  return errors;
}

const label = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const underscored = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?";
const subdomainSource = `${label}(\\.${label})*`;

const dnsLabel = rule(
  label,
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
  ["my-name", "123-abc"],
  63,
);
const dnsSubdomain = rule(
  subdomainSource,
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
  ["example.com"],
  253,
);
const dnsSubdomainUnderscored = rule(
  `${underscored}(\\.${underscored})*`,
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character",
  ["example.com"],
  253,
);
const dns1035Label = rule(
  "[a-z]([-a-z0-9]*[a-z0-9])?",
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
  ["my-name", "abc-123"],
  63,
);
const wildcardSubdomain = rule(
  `\\*\\.${subdomainSource}`,
  "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
  ["*.example.com"],
  253,
);
const labelKeyName = rule(
  "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]",
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  ["MyName", "my.name", "123-abc"],
);
const labelValue = rule(
  "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?",
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  ["MyValue", "my_value", "12345"],
  63,
);
const cIdentifier = rule(
  "[A-Za-z_][A-Za-z0-9_]*",
  "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_'",
  ["my_name", "MY_NAME", "MyName"],
);
const configMapKey = rule(
  "[-._a-zA-Z0-9]+",
  "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
  ["key.name", "KEY_NAME", "key-name"],
  253,
);
const httpHeader = rule("[-A-Za-z0-9]+", "a valid HTTP header must consist of alphanumeric characters or '-'", [
  "X-Header-Name",
]);
const percent = rule("[0-9]+%", "a valid percent string must be a numeric string followed by an ending '%'", [
  "1%",
  "93%",
]);
const httpPath = rule("[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+", "Invalid path", []);

export const isDnsSubdomain = (value: string): boolean => value.length <= 253 && dnsSubdomain.pattern.test(value);

/** A label of RFC 1123: up to 63 of `a-z0-9-`. */
export function dnsLabelErrors(value: string): string[] {
  if (!dnsLabel.pattern.test(value) && dnsSubdomain.pattern.test(value)) {
    return [...(value.length > 63 ? [tooManyCharacters(63)] : []), "must not contain dots"];
  }
  return errorsOf(value, dnsLabel, tooManyCharacters);
}
/** Labels of RFC 1123 with dots between them, up to 253. */
export const dnsSubdomainErrors = (value: string): string[] => errorsOf(value, dnsSubdomain, tooManyCharacters);
/** A subdomain whose labels may hold underscores. */
export const dnsSubdomainUnderscoredErrors = (value: string): string[] =>
  errorsOf(value, dnsSubdomainUnderscored, tooManyCharacters);
/** A label of RFC 1035: as RFC 1123, but it starts with a letter. */
export const dns1035LabelErrors = (value: string): string[] => errorsOf(value, dns1035Label, tooManyCharacters);
/** A subdomain after `*.`. */
export const wildcardSubdomainErrors = (value: string): string[] =>
  errorsOf(value, wildcardSubdomain, tooManyCharacters);
export const cIdentifierErrors = (value: string): string[] => errorsOf(value, cIdentifier, tooManyCharacters);
export const httpHeaderNameErrors = (value: string): string[] => errorsOf(value, httpHeader, tooManyCharacters);
export const percentErrors = (value: string): string[] => errorsOf(value, percent, tooManyCharacters);
export const httpPathErrors = (value: string): string[] => errorsOf(value, httpPath, tooManyCharacters);

/** A label's key, also called a qualified name: an optional subdomain and a slash, then up to 63 characters. */
export function labelKeyErrors(value: string): string[] {
  const parts = value.split("/");
  if (parts.length > 2) {
    const { message, source, examples } = labelKeyName;
    const sentence = patternError(message, source, ...examples);
    return [`a valid label key ${sentence} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`];
  }
  const errors: string[] = [];
  const name = parts.at(-1)!;
  if (parts.length === 2) {
    const prefix = parts[0]!;
    const wrong = prefix === "" ? ["must be non-empty"] : errorsOf(prefix, dnsSubdomain, tooManyBytes);
    errors.push(...wrong.map((message) => `prefix part ${message}`));
  }
  if (name === "") errors.push("name part must be non-empty");
  else if (bytesOf(name) > 63) errors.push(`name part ${tooManyBytes(63)}`);
  return [...errors, ...errorsOf(name, labelKeyName, tooManyBytes).map((message) => `name part ${message}`)];
}
/** A label's value: empty, or up to 63 characters. */
export const labelValueErrors = (value: string): string[] => errorsOf(value, labelValue, tooManyBytes);

function parentFolderErrors(value: string): string[] {
  if (value === ".") return ["must not be '.'"];
  if (value === "..") return ["must not be '..'"];
  return value.startsWith("..") ? ["must not start with '..'"] : [];
}

/** A key of a ConfigMap or Secret: a file's name. */
export const configMapKeyErrors = (value: string): string[] => [
  ...errorsOf(value, configMapKey, tooManyCharacters),
  ...parentFolderErrors(value),
];

/** The name of an environment variable: printable ASCII without `=`. */
export function envVarNameErrors(value: string): string[] {
  if (value === "") return ["environment variable name must be non-empty"];
  if (/^[\x20-\x3c\x3e-\x7e]*$/.test(value)) return [];
  return ["a valid environment variable name must consist only of printable ASCII characters other than '='"];
}

/** A port's number, 1 to 65535. */
export const portErrors = (value: number | bigint): string[] => inRangeErrors(value, 1, 65535);
export const inRangeErrors = (value: number | bigint, low: number, high: number): string[] =>
  value >= low && value <= high ? [] : [notBetween(low, high)];
/** A Unix user or group, 0 to 2^31-1. */
export const unixIdErrors = (value: number | bigint): string[] => inRangeErrors(value, 0, 2147483647);

/** A port's name: up to 15 of `a-z0-9-` with at least one letter (RFC 6335, lower case). */
export function portNameErrors(value: string): string[] {
  const errors: string[] = [];
  if (bytesOf(value) > 15) errors.push(tooManyCharacters(15));
  if (!/^[-a-z0-9]+$/.test(value)) {
    errors.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  }
  if (!/[a-z]/.test(value)) errors.push("must contain at least one letter (a-z)");
  if (value.includes("--")) errors.push("must not contain consecutive hyphens");
  if (value.startsWith("-") || value.endsWith("-")) errors.push("must not begin or end with a hyphen");
  return errors;
}

/** The rule for path segments. `prefix`: the name is a prefix of a generated one. */
export function pathSegmentErrors(value: string, prefix = false): string[] {
  if (!prefix && (value === "." || value === "..")) return [`may not be '${value}'`];
  return ["/", "%"].filter((part) => value.includes(part)).map((part) => `may not contain '${part}'`);
}

/** Makes a prefix that ends in a dash judgeable as a name; it is one character shorter then, as upstream has it. */
const maskTrailingDash = (name: string): string =>
  name.length > 1 && name.endsWith("-") ? `${name.slice(0, -2)}a` : name;

const nameRules: Readonly<Record<Exclude<NameRule, "path-segment" | "ip">, (value: string) => string[]>> = {
  "dns-subdomain": dnsSubdomainErrors,
  "dns-label": dnsLabelErrors,
  "dns-label-1035": dns1035LabelErrors,
};

/** An object's name by its kind's rule; `prefix` for generateName. */
export function nameErrors(by: NameRule, name: string, prefix = false): string[] {
  if (by === "path-segment") return pathSegmentErrors(name, prefix);
  const head = `Invalid value: ${JSON.stringify(name)}: `;
  if (by === "ip") return ipErrors("", name).map(({ message }) => message.slice(head.length));
  return nameRules[by](prefix ? maskTrailingDash(name) : name);
}

/** A domain of at least two labels; a dot at the end is allowed. Returns what is wrong with the label or the whole. */
export function domainNameErrors(value: string): string[] {
  const name = value.replace(/\.$/, "");
  const wrong = dnsSubdomainErrors(name);
  if (wrong.length > 0) return [wrong.join(",")];
  if (!name.includes(".")) return ["should be a domain with at least two segments separated by dots"];
  return name
    .split(".")
    .map(dnsLabelErrors)
    .filter((errors) => errors.length > 0)
    .slice(0, 1)
    .map((errors) => errors.join(","));
}

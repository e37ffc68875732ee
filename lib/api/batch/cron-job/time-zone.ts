/** Names of time zones. */
import { type FieldError, invalidValue } from "../../meta/index.ts";

const component = /^[A-Za-z.\-_0-9+]{1,14}$/;
/** Names of three letters that the time zone database has; the platform knows others, which no Kubernetes server does. */
const short = new Set(["CET", "EET", "EST", "GMT", "HST", "MET", "MST", "PRC", "ROC", "ROK", "UCT", "UTC", "WET"]);

/** Whether the time zone database has this name. Upper and lower case count. */
export function isTimeZone(name: string): boolean {
  if (/^[+-]/.test(name) || name.startsWith("SystemV/")) return false;
  if (/^[A-Z]{3}$/.test(name) && !short.has(name)) return false;
  try {
    const { timeZone } = new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions();
    if (timeZone.toLowerCase() === name.toLowerCase()) return timeZone === name;
  } catch {
    return false;
  }
  // An alias: the platform shows another name for it. Every part of every name begins with a capital.
  return name.split("/").every((part) => /^[A-Z]/.test(part) && !/^[A-Z_]{5,}$/.test(part));
}

export function validateTimeZone(name: string | undefined, field: string): FieldError[] {
  if (name === undefined) return [];
  if (name === "") return [invalidValue(field, name, "timeZone must be nil or non-empty string")];
  const wrong = (part: string): boolean =>
    part === "." || part === ".." || part.startsWith("-") || !component.test(part);
  if (name.split("/").some(wrong)) return [invalidValue(field, name, `unknown time zone ${name}`)];
  const errors: FieldError[] = [];
  if (name.toLowerCase() === "local") {
    const why = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
    errors.push(invalidValue(field, name, why));
  }
  if (name === "Local" || isTimeZone(name)) return errors;
  return [...errors, invalidValue(field, name, `unknown time zone ${name}`)];
}

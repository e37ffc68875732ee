import { cidrContains, type FieldError, invalidValue, parseCidr, parseIp } from "../meta/index.ts";

const loopback = ["127.0.0.0/8", "::1/128"].map((text) => parseCidr(text)!);
const linkLocal = ["169.254.0.0/16", "fe80::/10"].map((text) => parseCidr(text)!);
const linkLocalMulticast = ["224.0.0.0/24", "ff02::/16"].map((text) => parseCidr(text)!);

/** An address that traffic can be sent to: not this machine, not this link, not nowhere. */
export function validateEndpointIp(field: string, text: string): FieldError[] {
  const ip = parseIp(text);
  if (!ip) return [invalidValue(field, text, "must be a valid IP address")];
  const inside = (blocks: typeof loopback): boolean => blocks.some((block) => cidrContains(block, ip));
  const errors: FieldError[] = [];
  const refuse = (why: string): void => void errors.push(invalidValue(field, text, why));
  if (ip.value === 0n) refuse(`may not be unspecified (${text})`);
  if (inside(loopback)) refuse("may not be in the loopback range (127.0.0.0/8, ::1/128)");
  if (inside(linkLocal)) refuse("may not be in the link-local range (169.254.0.0/16, fe80::/10)");
  if (inside(linkLocalMulticast)) refuse("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
  return errors;
}

/** IP addresses and blocks of them: parsing, canonical text, upstream's rules and words. */
import { type FieldError, invalidValue } from "./field-error.ts";

/** An address as a number; one that is written `::ffff:1.2.3.4` counts as version 4, as in Go. */
export interface Ip {
  version: 4 | 6;
  value: bigint;
}

/** A block of addresses, without the bits beyond the prefix. */
export interface Cidr extends Ip {
  prefix: number;
}

interface Read extends Ip {
  leadingZeros: boolean;
  mapped: boolean;
}

function readIpv4(text: string): { value: bigint; leadingZeros: boolean } | undefined {
  const octets = text.split(".");
  if (octets.length !== 4) return undefined;
  let value = 0n;
  for (const octet of octets) {
    if (!/^\d+$/.test(octet) || Number(octet) > 255) return undefined;
    value = (value << 8n) | BigInt(octet);
  }
  return { value, leadingZeros: octets.some((octet) => octet.length > 1 && octet.startsWith("0")) };
}

function readIpv6(text: string): { value: bigint; leadingZeros: boolean } | undefined {
  let rest = text;
  let leadingZeros = false;
  const tail = rest.slice(rest.lastIndexOf(":") + 1);
  if (tail.includes(".")) {
    const embedded = readIpv4(tail);
    if (!embedded) return undefined;
    leadingZeros = embedded.leadingZeros;
    const hex = embedded.value.toString(16).padStart(8, "0");
    rest = `${rest.slice(0, -tail.length)}${hex.slice(0, 4)}:${hex.slice(4)}`;
  }
  const halves = rest.split("::");
  if (halves.length > 2) return undefined;
  const [head, end] = halves.map((half) => (half === "" ? [] : half.split(":"))) as [string[], string[] | undefined];
  const missing = 8 - head.length - (end?.length ?? 0);
  if (end ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...Array.from({ length: missing }, () => "0"), ...(end ?? [])];
  let value = 0n;
  for (const group of groups) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined;
    value = (value << 16n) | BigInt(`0x${group}`);
  }
  return { value, leadingZeros };
}

const mappedPrefix = 0xffffn << 32n;

function read(text = ""): Read | undefined {
  if (!text.includes(":")) {
    const found = readIpv4(text);
    return found && { version: 4, ...found, mapped: false };
  }
  const found = readIpv6(text);
  if (!found) return undefined;
  if (found.value >> 32n === 0xffffn) return { version: 4, ...found, value: found.value ^ mappedPrefix, mapped: true };
  return { version: 6, ...found, mapped: false };
}

/** Parses an address; leading zeros are ignored, as in Go's former parser. Undefined for other text. */
export function parseIp(text: string): Ip | undefined {
  const found = read(text);
  return found && { version: found.version, value: found.value };
}

/** The canonical text (RFC 5952). */
export function formatIp({ version, value }: Ip): string {
  if (version === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join(".");
  const groups = Array.from({ length: 8 }, (_, index) => Number((value >> BigInt(112 - 16 * index)) & 0xffffn));
  let from = -1;
  let length = 1;
  for (let start = 0; start < 8; start++) {
    let end = start;
    while (end < 8 && groups[end] === 0) end++;
    if (end - start > length) [from, length] = [start, end - start];
  }
  const hex = groups.map((group) => group.toString(16));
  if (from < 0) return hex.join(":");
  return `${hex.slice(0, from).join(":")}::${hex.slice(from + length).join(":")}`;
}

/** The text in canonical form; undefined where it is no address. */
export function canonicalIp(text: string): string | undefined {
  const found = parseIp(text);
  return found && formatIp(found);
}

/** A warning where an address is valid but not as others would write it; none for what is no address. */
export function ipWarnings(field: string, value: string): string[] {
  const ip = parseIp(value);
  if (!ip || formatIp(ip) === value) return [];
  const shown = `"${value}"`;
  if (ip.version === 4) return [`${field}: non-standard IP address ${shown} is invalid: use "${formatIp(ip)}"`];
  return [`${field}: IPv6 address ${shown} should be in RFC 5952 canonical format ("${formatIp(ip)}")`];
}

/** As ipWarnings, for blocks, and where there are bits beyond the prefix. */
export function cidrWarnings(field: string, value: string): string[] {
  const cidr = parseCidr(value);
  if (!cidr) return [];
  const block = formatCidr({ ...cidr, value: maskedBy(cidr, cidr.prefix) });
  if (cidr.value !== maskedBy(cidr, cidr.prefix)) {
    const single = `${formatIp(cidr)}/${bitsOf(cidr.version)}`;
    return [`${field}: CIDR value "${value}" is ambiguous in this context (should be "${block}" or "${single}"?)`];
  }
  if (block === value) return [];
  if (cidr.version === 4) return [`${field}: non-standard CIDR value "${value}" is invalid: use "${block}"`];
  return [`${field}: IPv6 CIDR value "${value}" should be in RFC 5952 canonical format ("${block}")`];
}

const bitsOf = (version: 4 | 6): number => (version === 4 ? 32 : 128);
const maskedBy = ({ version, value }: Ip, prefix: number): bigint => {
  const rest = BigInt(bitsOf(version) - prefix);
  return (value >> rest) << rest;
};

interface ReadCidr {
  address: Read;
  prefix: number;
  leadingZeros: boolean;
}

function readCidr(text: string): ReadCidr | undefined {
  const slash = text.indexOf("/");
  const address = slash < 0 ? undefined : read(text.slice(0, slash));
  const length = text.slice(slash + 1);
  if (!address || !/^\d+$/.test(length)) return undefined;
  const written = Number(length);
  if (written > (address.mapped || address.version === 6 ? 128 : 32)) return undefined;
  const prefix = address.mapped ? Math.max(0, written - 96) : written;
  return { address, prefix, leadingZeros: address.leadingZeros || /^0\d/.test(length) };
}

/** Parses `address/length`. Undefined where it is no block. */
export function parseCidr(text: string): Cidr | undefined {
  const found = readCidr(text);
  if (!found) return undefined;
  const { address, prefix } = found;
  return { version: address.version, value: maskedBy(address, prefix), prefix };
}

export const formatCidr = (cidr: Cidr): string => `${formatIp(cidr)}/${cidr.prefix}`;
export const cidrContains = (cidr: Cidr, ip: Ip): boolean =>
  cidr.version === ip.version && maskedBy(ip, cidr.prefix) === cidr.value;

const noAddress = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const noBlock = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

/**
 * Upstream's rule for fields older than strict checking: any spelling of an address, unless zeros in front or an
 * IPv4-mapped form make it ambiguous.
 */
export function legacyIpErrors(field: string, value: string, accepted: readonly string[] = []): FieldError[] {
  if (accepted.includes(value)) return [];
  const found = read(value);
  if (!found) return [invalidValue(field, value, noAddress)];
  const errors: FieldError[] = [];
  if (found.leadingZeros) errors.push(invalidValue(field, value, "must not have leading 0s"));
  else if (found.mapped) errors.push(invalidValue(field, value, "must not be an IPv4-mapped IPv6 address"));
  return errors;
}

/** An address in canonical form. */
export function ipErrors(field: string, value: string): FieldError[] {
  const errors = legacyIpErrors(field, value);
  if (errors.length > 0) return errors;
  const canonical = canonicalIp(value);
  return value === canonical ? [] : [invalidValue(field, value, `must be in canonical form ("${canonical}")`)];
}

/** As legacyIpErrors, for blocks; bits beyond the prefix are refused. */
export function legacyCidrErrors(field: string, value: string, accepted: readonly string[] = []): FieldError[] {
  if (accepted.includes(value)) return [];
  const found = readCidr(value);
  if (!found) return [invalidValue(field, value, noBlock)];
  if (found.leadingZeros) return [invalidValue(field, value, "must not have leading 0s in IP or prefix length")];
  if (found.address.mapped) return [invalidValue(field, value, "must not have an IPv4-mapped IPv6 address")];
  if (maskedBy(found.address, found.prefix) !== found.address.value) {
    return [invalidValue(field, value, "must not have bits set beyond the prefix length")];
  }
  return [];
}

/** A block in canonical form. */
export function cidrErrors(field: string, value: string): FieldError[] {
  const errors = legacyCidrErrors(field, value);
  if (errors.length > 0) return errors;
  const canonical = formatCidr(parseCidr(value)!);
  return value === canonical ? [] : [invalidValue(field, value, `must be in canonical form ("${canonical}")`)];
}

const notGlobal = ["127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "::1/128", "fe80::/10", "ff00::/8"].map(
  (text) => parseCidr(text)!,
);

/**
 * Whether an address is one of another machine or pod: not unspecified, loopback, link-local, multicast or broadcast
 * (Go's `IP.IsGlobalUnicast`). The metadata service of clouds, 169.254.169.254, is link-local.
 */
export function isGlobalUnicast(text: string): boolean {
  const ip = parseIp(text);
  if (!ip || ip.value === 0n || (ip.version === 4 && ip.value === 0xffff_ffffn)) return false;
  return !notGlobal.some((block) => cidrContains(block, ip));
}

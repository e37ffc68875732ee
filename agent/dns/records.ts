import { formatIp, parseIp } from "#api";
import { classIn, dataOf, type ResourceRecord, types } from "./message.ts";
import { parseName } from "./name.ts";

/** An IP address as the data of a record. */
export interface Address {
  /** The canonical text (RFC 5952). */
  text: string;
  type: typeof types.A | typeof types.AAAA;
  bytes: Buffer;
}

/** Undefined for other text, such as a host name. */
export function addressOf(text: string): Address | undefined {
  const ip = parseIp(text);
  if (!ip) return undefined;
  const digits = ip.version === 4 ? 8 : 32;
  const bytes = Buffer.from(ip.value.toString(16).padStart(digits, "0"), "hex");
  return { text: formatIp(ip), type: ip.version === 4 ? types.A : types.AAAA, bytes };
}

export const addressRecord = (name: string, { type, bytes }: Address, ttl: number): ResourceRecord => ({
  name,
  type,
  class: classIn,
  ttl,
  data: dataOf({ head: bytes }),
});

/** A record whose data is one name: NS, CNAME or PTR. */
export const nameRecord = (name: string, type: number, target: string, ttl: number): ResourceRecord => ({
  name,
  type,
  class: classIn,
  ttl,
  data: dataOf({ names: [target] }),
});

export interface ServiceLocation {
  weight: number;
  port: number;
  target: string;
}

export function srvRecord(name: string, { weight, port, target }: ServiceLocation, ttl: number): ResourceRecord {
  const head = Buffer.alloc(6);
  head.writeUInt16BE(weight, 2);
  head.writeUInt16BE(port, 4);
  return { name, type: types.SRV, class: classIn, ttl, data: dataOf({ head, names: [target] }) };
}

/** One string of at most 255 bytes. */
export const txtRecord = (name: string, text: string, ttl: number): ResourceRecord => ({
  name,
  type: types.TXT,
  class: classIn,
  ttl,
  data: dataOf({ head: Buffer.concat([Buffer.from([text.length]), Buffer.from(text, "latin1")]) }),
});

/** The zone's SOA, with the times of CoreDNS (plugin.SOA in plugin/backend_lookup.go). */
export function soaRecord(zone: string, serial: number, ttl: number): ResourceRecord {
  const tail = Buffer.alloc(20);
  for (const [index, value] of [serial, 7200, 1800, 86_400, ttl].entries()) tail.writeUInt32BE(value, 4 * index);
  const names = [parseName("ns.dns")! + zone, parseName("hostmaster")! + zone];
  return { name: zone, type: types.SOA, class: classIn, ttl, data: dataOf({ names, tail }) };
}

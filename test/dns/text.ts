import { decodeMessage, type ResourceRecord } from "#agent/dns";

/** An answer as text, without what differs between two servers or two times. */
export interface AnswerText {
  rcode: number;
  /** Of `aa tc ra`, those that are set. */
  flags: string;
  /** Of a truncated answer only their number: which are left is by chance. */
  answers: string[] | number;
  authorities: string[];
  additionals: string[];
  /** Of the OPT record. */
  edns?: string;
}

const names: Record<number, string> = {
  1: "A",
  2: "NS",
  5: "CNAME",
  6: "SOA",
  12: "PTR",
  16: "TXT",
  28: "AAAA",
  33: "SRV",
};

const serialBytes = 4;
const truncated = 0x0200;

/** The answer in a packet. Undefined when it is not a DNS message. */
export function answerText(packet: Buffer): AnswerText | undefined {
  const message = decodeMessage(packet);
  if (!message) return undefined;
  const { flags, edns } = message;
  const has = (bit: number, name: string): string[] => ((flags & bit) === 0 ? [] : [name]);
  return {
    rcode: (flags & 15) + 16 * (edns?.extendedRcode ?? 0),
    flags: [...has(0x0400, "aa"), ...has(truncated, "tc"), ...has(0x0080, "ra")].join(" "),
    answers: (flags & truncated) === 0 ? message.answers.map(recordText).sort() : message.answers.length,
    authorities: message.authorities.map(recordText).sort(),
    additionals: message.additionals.map(recordText).sort(),
    ...(edns ? { edns: `${edns.size}${edns.dnssec ? " do" : ""}` } : {}),
  };
}

function recordText({ name, type, ttl, data: { head, names: targets, tail } }: ResourceRecord): string {
  // The serial of an SOA is the time of the last change.
  const rest = type === 6 ? tail.subarray(serialBytes) : tail;
  const data = [head.toString("hex"), ...targets.map(text), rest.toString("hex")].filter((part) => part !== "");
  return `${text(name)} ${ttl} ${names[type] ?? type} ${data.join(" ")}`;
}

const text = (name: string): string => {
  const labels: string[] = [];
  for (let at = 0; at < name.length; at += 1 + name.charCodeAt(at)) {
    labels.push(name.slice(at + 1, at + 1 + name.charCodeAt(at)));
  }
  return `${labels.join(".")}.`.toLowerCase();
};

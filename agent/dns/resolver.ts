import { decodeRequest, headerBytes, type Request } from "./decode.ts";
import { encodeMessage, optBytes, smallestLimit, writeOpt } from "./encode.ts";
import {
  classIn,
  type Edns,
  flagBits,
  type Message,
  type Question,
  type ResourceRecord,
  rcodes,
  types,
} from "./message.ts";
import { isInZone, lowerCase } from "./name.ts";
import type { Zone, ZoneAnswer } from "./zone.ts";

/** A question for other servers, with the client's flags that change the answer. */
export interface ForwardedQuestion {
  question: Question;
  edns: Edns | undefined;
  checkingDisabled: boolean;
}

/** Answers about names outside of the zone. Never rejects: a failure is a SERVFAIL. Records have their final TTLs. */
export type Forward = (question: ForwardedQuestion) => Promise<Message>;

/** The largest UDP payload, whatever clients accept. */
const largestPayload = 4096;

/** The most names that ExternalName services may lead through, as in CoreDNS (plugin/backend_lookup.go). */
const longestChain = 10;

/** Flags of a request that its answer repeats. */
const repeatedFlags = 0x7800 | flagBits.recursionDesired | flagBits.checkingDisabled;

/** An encoded answer of the zone, which fits requests for the same name in any case. */
interface Template {
  packet: Buffer;
  /** Where answers begin, and the size of each when their order may be changed. */
  answersAt: number;
  answerBytes: number | undefined;
  turn: number;
}

/** Answers packets from the zone, and from other servers. */
export class Resolver {
  readonly #zone: Zone;
  readonly #forward: Forward;
  readonly #templates = new WeakMap<ZoneAnswer, Template>();

  constructor(zone: Zone, forward: Forward) {
    this.#zone = zone;
    this.#forward = forward;
  }

  /** The answer to a packet; undefined when none is sent. Neither throws nor rejects. */
  resolve(packet: Buffer, transport: "udp" | "tcp"): Buffer | undefined | Promise<Buffer> {
    const request = decodeRequest(packet);
    if (request.outcome === "drop") return undefined;
    if (request.outcome === "refuse") return refusal(request);
    const { question, edns } = request;
    const limit = transport === "tcp" ? undefined : Math.min(Math.max(edns?.size ?? 0, smallestLimit), largestPayload);
    const name = lowerCase(question.name);
    const answer = this.#zone.answer(name, question.type);
    if (answer === undefined) {
      if (question.type === types.AXFR || question.type === types.IXFR) {
        return refusal({ ...request, outcome: "refuse", rcode: rcodes.REFUSED });
      }
      return this.#forwarded(request, limit);
    }
    if (answer.alias !== undefined) return this.#followed(request, answer, limit);
    if (answer.answers.length > 0) {
      const fast = this.#fromTemplate(packet, request, name, answer, limit);
      if (fast) return fast;
    }
    return encodeMessage(replyOf(request, answer), limit);
  }

  /** The answer from its encoding. Undefined when it needs to be encoded for this request. */
  #fromTemplate(
    packet: Buffer,
    { id, flags, questionEnd, edns }: Extract<Request, { outcome: "answer" }>,
    name: string,
    answer: ZoneAnswer,
    limit: number | undefined,
  ): Buffer | undefined {
    let template = this.#templates.get(answer);
    if (!template) {
      template = templateOf(name, answer);
      this.#templates.set(answer, template);
    }
    const { packet: encoded, answersAt, answerBytes } = template;
    const length = encoded.length + (edns ? optBytes : 0);
    // The name in the request may have been compressed.
    if (questionEnd !== answersAt || (limit !== undefined && length > limit)) return undefined;
    const reply = Buffer.allocUnsafe(length);
    encoded.copy(reply);
    packet.copy(reply, headerBytes, headerBytes, questionEnd);
    reply.writeUInt16BE(id, 0);
    reply.writeUInt16BE(flagBits.response | flagBits.authoritative | (flags & repeatedFlags), 2);
    if (answerBytes !== undefined) {
      const turn = answersAt + (template.turn++ % answer.answers.length) * answerBytes;
      const end = answersAt + answer.answers.length * answerBytes;
      encoded.copy(reply, answersAt, turn, end);
      encoded.copy(reply, answersAt + end - turn, answersAt, turn);
    }
    if (edns) {
      reply.writeUInt16BE(encoded.readUInt16BE(10) + 1, 10);
      writeOpt(reply, encoded.length, ownEdns(edns, 0));
    }
    return reply;
  }

  async #forwarded(request: Extract<Request, { outcome: "answer" }>, limit: number | undefined): Promise<Buffer> {
    const message = await this.#forward(forwardedQuestion(request, request.question));
    return encodeMessage(
      {
        ...message,
        id: request.id,
        flags: flagBits.response | (request.flags & repeatedFlags) | (message.flags & keptFlags),
        question: request.question,
        edns: request.edns && ownEdns(request.edns, message.edns?.extendedRcode ?? 0),
      },
      limit,
    );
  }

  /** An ExternalName service and what it leads to, as CoreDNS's plugin.A: nothing when that is in the zone and missing. */
  async #followed(
    request: Extract<Request, { outcome: "answer" }>,
    first: ZoneAnswer,
    limit: number | undefined,
  ): Promise<Buffer> {
    const { question } = request;
    const records: ResourceRecord[] = [...first.answers];
    const seen = new Set([lowerCase(question.name)]);
    let alias = first.alias;
    while (alias !== undefined) {
      if (!isInZone(alias, this.#zone.name)) {
        const target = { name: alias, type: question.type, class: classIn };
        const message = await this.#forward(forwardedQuestion(request, target));
        const answer = { ...first, answers: withTtlOf([...records, ...message.answers]) };
        return encodeMessage(replyOf(request, answer), limit);
      }
      const next: ZoneAnswer | undefined =
        seen.has(alias) || seen.size > longestChain ? undefined : this.#zone.answer(alias, question.type);
      seen.add(alias);
      if (!next || next.answers.length === 0) return encodeMessage(replyOf(request, this.#zone.noData()), limit);
      records.push(...next.answers);
      alias = next.alias;
    }
    return encodeMessage(replyOf(request, { ...first, answers: records }), limit);
  }
}

/** Flags and the rcode that an answer of another server keeps. */
const keptFlags =
  flagBits.authoritative | flagBits.truncated | flagBits.recursionAvailable | flagBits.authenticated | 15;

const forwardedQuestion = ({ flags, edns }: { flags: number; edns?: Edns | undefined }, question: Question) => ({
  question,
  edns,
  checkingDisabled: (flags & flagBits.checkingDisabled) !== 0,
});

const ownEdns = ({ size, dnssec }: Edns, extendedRcode: number): Edns => ({ size, dnssec, version: 0, extendedRcode });

/** All records of an answer get its lowest TTL, as by CoreDNS's cache. */
function withTtlOf(records: ResourceRecord[]): ResourceRecord[] {
  const ttl = Math.min(...records.map((record) => record.ttl));
  return records.map((record) => ({ ...record, ttl }));
}

const replyOf = (
  { id, flags, question, edns }: Extract<Request, { outcome: "answer" }>,
  { rcode, answers, authorities, additionals }: ZoneAnswer,
): Message => ({
  id,
  flags: flagBits.response | (rcode === rcodes.REFUSED ? 0 : flagBits.authoritative) | (flags & repeatedFlags) | rcode,
  question,
  answers,
  authorities,
  additionals,
  edns: edns && ownEdns(edns, 0),
});

const refusal = ({ id, flags, rcode, question, edns }: Extract<Request, { outcome: "refuse" }>): Buffer =>
  encodeMessage({
    id,
    flags: flagBits.response | (flags & repeatedFlags) | (rcode & 15),
    question,
    answers: [],
    authorities: [],
    additionals: [],
    edns: edns && ownEdns(edns, rcode >> 4),
  });

const isAddress = ({ type }: ResourceRecord): boolean => type === types.A || type === types.AAAA;

/** Only lists of addresses change their order, as by CoreDNS's loadbalance. */
function templateOf(name: string, { answers, authorities, additionals }: ZoneAnswer): Template {
  const [first] = answers;
  const question = { name, type: first?.type ?? 0, class: classIn };
  const packet = encodeMessage({ id: 0, flags: 0, question, answers, authorities, additionals });
  const answersAt = headerBytes + name.length + 5;
  const isList = answers.length > 1 && additionals.length === 0 && answers.every(isAddress);
  return {
    packet,
    answersAt,
    answerBytes: isList ? (packet.length - answersAt) / answers.length : undefined,
    turn: 0,
  };
}

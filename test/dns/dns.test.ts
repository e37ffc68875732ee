import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ForwardCache, Resolver, Zone } from "#agent/dns";
import { handClock } from "#test/make";
import { queryOf } from "./ask.ts";
import { extraNamespaces, services, slices } from "./objects.ts";
import type { Row } from "./questions.ts";
import { type AnswerText, answerText } from "./text.ts";
import { upstreamAnswer } from "./upstream-server.ts";

const zone = new Zone({ domain: "cluster.local", addresses: [], now: () => 0 });
for (const name of ["default", "kube-system", ...extraNamespaces]) zone.setNamespace(name);
for (const service of services) zone.setService(service);
for (const slice of slices) zone.setSlice(slice);
// It stands still: times to live of stored answers would fall on a busy machine.
const cache = new ForwardCache({ clock: handClock(), exchange: async ({ question }) => upstreamAnswer(question) });
const resolver = new Resolver(zone, cache.forward);

// The answers of CoreDNS v1.15.0 with kubeadm's Corefile over the same objects, recorded by record.ts.
const recorded = readFileSync(new URL("data/answers.json", import.meta.url), "utf8");
const rows = (JSON.parse(recorded) as (Row & { answer: AnswerText })[]).map((row): [string, Row, AnswerText] => {
  const { answer, ...question } = row;
  return [Object.values(question).join(" "), question, answer];
});

test.each(rows)("answers %s as CoreDNS", async (_name, row, expected) => {
  const packet = await resolver.resolve(queryOf(row), row.tcp ? "tcp" : "udp");
  expect(answerText(packet!)).toEqual(expected);
  // The second answer is from what the first has stored.
  const again = await resolver.resolve(queryOf(row), row.tcp ? "tcp" : "udp");
  expect(answerText(again!)).toEqual(expected);
});

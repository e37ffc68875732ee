import { X509Certificate } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { apiServerNames, certificateSigningRequests } from "#api";
import { createAuthority, signRequest } from "#auth/certificates";
import { type Log, silentLog } from "#base";
import type { Client } from "#client";
import { openCluster, type TestCluster } from "#test/cluster";
import { type HandClock, handClock } from "#test/make";
import { keepServingCertificate, type ServingCertificate } from "./serving-certificate.ts";

const start = Date.parse("2030-01-01T00:00:00Z");
const day = 24 * 3_600_000;
const authority = await createAuthority(start);

let cluster: TestCluster;
let folder: string;
/** The node's clock; the cluster has its own. */
let clock: HandClock;
let signatures: Promise<string>[] = [];
let signs = true;
const stops: (() => Promise<void>)[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "skiff-serving-"));
  clock = handClock(start);
  [signatures, signs] = [[], true];
  cluster = await openCluster({
    signApiServing(request, issued) {
      if (!signs) return Promise.reject(new Error("the authority does not answer"));
      const signature = signRequest({ authority, request, ...issued, now: clock.now() });
      signatures.push(signature);
      return signature;
    },
  });
});
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
  await cluster.close();
  rmSync(folder, { recursive: true, force: true });
});

const nodeClient = (): Client =>
  cluster.plane.server.client({ name: "system:node:a", groups: ["system:nodes", "system:authenticated"] });

function keep(over: { client?: Client; name?: string } = {}) {
  const found: ServingCertificate[] = [];
  const messages: string[] = [];
  const record = (message: string, fields?: object) => void messages.push(`${message} ${JSON.stringify(fields)}`);
  const log: Log = { ...silentLog, warn: record };
  const stopping = new AbortController();
  const keeping = keepServingCertificate(
    {
      client: nodeClient(),
      name: "a",
      folder,
      addresses: () => ["10.96.0.1"],
      clock,
      random: { bytes: (length) => new Uint8Array(length), fraction: () => 0.5 },
      log,
      ...over,
    },
    { changed: (certificate) => found.push(certificate), signal: stopping.signal },
  );
  const stop = async () => {
    stopping.abort();
    await keeping;
  };
  stops.push(stop);
  return { found, messages, stop };
}

/** Lets the cluster and the node work until the condition is true. Keys and files are written outside both clocks. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) {
    await Promise.all(signatures);
    await cluster.pass(250);
    clock.move(250);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
const requests = async () => (await cluster.client.list(certificateSigningRequests)).items;

test("obtains a certificate for the API's names and stores it for its user alone", async () => {
  const { found } = keep();
  await until(() => found.length === 1);
  const certificate = new X509Certificate(found[0]!.cert);
  expect(certificate.verify(new X509Certificate(authority.cert).publicKey)).toBe(true);
  for (const name of apiServerNames) expect(certificate.checkHost(name)).toBe(name);
  expect(certificate.checkIP("10.96.0.1")).toBe("10.96.0.1");
  // A quarter, less the time before now that certificates are valid for.
  expect(Math.round((certificate.validToDate.getTime() - clock.now()) / day)).toBe(90);
  const [file] = readdirSync(folder);
  expect([file, statSync(join(folder, file!)).mode & 0o777]).toEqual(["api-serving.json", 0o600]);
  const sent = JSON.stringify(await requests());
  expect(sent).not.toContain("PRIVATE KEY");
  expect(atob((await requests())[0]!.spec!.request)).not.toContain("PRIVATE KEY");
});

test("the next agent uses the stored certificate", async () => {
  const first = keep();
  await until(() => first.found.length === 1);
  await first.stop();
  const second = keep();
  await until(() => second.found.length === 1);
  expect(second.found).toEqual(first.found);
  expect(await requests()).toHaveLength(1);
});

test.each([
  ["damaged", () => "{"],
  [
    "of another key",
    (stored: ServingCertificate, other: ServingCertificate) => JSON.stringify({ ...stored, key: other.key }),
  ],
])("replaces a stored certificate that is %s", async (_what, spoil) => {
  const first = keep();
  await until(() => first.found.length === 1);
  await first.stop();
  const path = join(folder, "api-serving.json");
  const stored = JSON.parse(readFileSync(path, "utf8")) as ServingCertificate;
  rmSync(path);
  const other = keep();
  await until(() => other.found.length === 1);
  await other.stop();
  writeFileSync(path, spoil(stored, other.found[0]!));
  const last = keep();
  await until(() => last.found.length === 1);
  expect(last.found[0]!.cert).not.toBe(stored.cert);
  expect(await requests()).toHaveLength(3);
});

test("renews it after four fifths of its validity, by a new key", async () => {
  const { found } = keep();
  await until(() => found.length === 1);
  // An hour at a time: the node looks at the clock as often.
  for (let hour = 0; hour < 71 * 24; hour++) {
    clock.move(3_600_000);
    await new Promise(setImmediate);
  }
  expect(found).toHaveLength(1);
  clock.move(2 * day);
  await until(() => found.length === 2);
  const [first, second] = found.map(({ cert }) => new X509Certificate(cert));
  expect(second!.publicKey.equals(first!.publicKey)).toBe(false);
  expect(second!.validToDate.getTime()).toBeGreaterThan(first!.validToDate.getTime() + 70 * day);
  expect(JSON.parse(readFileSync(join(folder, "api-serving.json"), "utf8"))).toEqual(found[1]);
});

test("an agent that was killed before the certificate arrived requests another", async () => {
  signs = false;
  const first = keep();
  await until(async () => (await requests()).length === 1);
  await first.stop();
  expect([first.found, readdirSync(folder)]).toEqual([[], []]);
  signs = true;
  const second = keep();
  await until(() => second.found.length === 1);
  expect(await requests()).toHaveLength(2);
  // Both are deleted an hour after they were signed (upstream's csrcleaner).
  while ((await requests()).length > 0) {
    await Promise.all(signatures);
    await cluster.pass(600_000);
  }
});

test("tries again after a failure, and asks for no other node", async () => {
  let failures = 2;
  const client = nodeClient();
  const failing: Client = {
    ...client,
    list: client.list.bind(client),
    get: client.get.bind(client),
    create: (...args) => (failures-- > 0 ? Promise.reject(new Error("no route")) : client.create(...args)),
  };
  const { found, messages } = keep({ client: failing });
  await until(() => found.length === 1);
  expect(messages).toEqual(
    Array(2).fill(`the certificate for the API inside pods could not be obtained {"node":"a","error":"no route"}`),
  );
  const other = keep({ name: "b" });
  await until(() => other.messages.length > 0);
  expect([other.found, other.messages[0]]).toEqual([
    [],
    expect.stringContaining("has not been approved within 5 minutes"),
  ]);
});

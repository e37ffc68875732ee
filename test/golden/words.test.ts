import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import * as api from "#api";

/** `[what is asked, the input, upstream's answer, upstream's error]`, from upstream's v1.36 libraries. */
type Case = [what: string, input: string, expected: unknown, error: string | null];
const cases = JSON.parse(readFileSync(join(import.meta.dirname, "words.json"), "utf8")) as Case[];

const names: Record<string, (value: string) => string[]> = {
  label: api.dnsLabelErrors,
  subdomain: api.dnsSubdomainErrors,
  underscored: api.dnsSubdomainUnderscoredErrors,
  label1035: api.dns1035LabelErrors,
  wildcard: api.wildcardSubdomainErrors,
  key: api.labelKeyErrors,
  value: api.labelValueErrors,
  port: api.portNameErrors,
  percent: api.percentErrors,
  header: api.httpHeaderNameErrors,
  env: api.envVarNameErrors,
  file: api.configMapKeyErrors,
  c: api.cIdentifierErrors,
  domain: api.domainNameErrors,
};
const addresses: Record<string, (field: string, value: string) => api.FieldError[]> = {
  ip: api.ipErrors,
  legacyIp: api.legacyIpErrors,
  cidr: api.cidrErrors,
  legacyCidr: api.legacyCidrErrors,
};
const texts: Record<string, (value: string) => unknown> = {
  time: api.canonicalTime,
  micro: api.canonicalMicroTime,
  age: (value) => api.humanDuration(Number(value)),
  quantity: (value) => [
    api.canonicalQuantity(value),
    String(api.quantityValue(value)),
    String(api.quantityMilliValue(value)),
  ],
};

function answer(what: string, input: string): unknown {
  const address = addresses[what];
  if (!address) return (names[what] ?? texts[what]!)(input);
  const head = `Invalid value: ${JSON.stringify(input)}: `;
  return address("x", input).map(({ message }) => message.slice(head.length));
}

test.each([...new Set(cases.map(([what]) => what))])("%s", (kind) => {
  for (const [what, input, expected, error] of cases.filter(([what]) => what === kind)) {
    if (error === null) expect(answer(what, input), `${what} ${JSON.stringify(input)}`).toEqual(expected ?? []);
    else expect(() => answer(what, input), `${what} ${JSON.stringify(input)}`).toThrow(error);
  }
});

test("quantities keep their spelling in sums", () => {
  expect(api.addQuantities("1Gi", "1Mi")).toBe("1025Mi");
  expect(api.addQuantities("0", "1Gi")).toBe("1Gi");
  expect(api.addQuantities("100m", "900m")).toBe("1");
  expect(api.subtractQuantities("1Gi", "1Gi")).toBe("0");
  expect(api.subtractQuantities("1", "1500m")).toBe("-500m");
  expect(api.compareQuantities("1Ki", "1024")).toBe(0);
  expect(api.compareQuantities("1", "1001m")).toBeLessThan(0);
  expect(api.roundUpToMilli("1u")).toBe("1m");
  expect(api.roundUpToMilli("1.5Gi")).toBe("1.5Gi");
});

test("sizes of data", () => {
  const data = (length: number) => ({ metadata: { name: "a" }, data: { key: "x".repeat(length) } });
  expect(api.configMaps.validate?.(data(1024 * 1024))).toEqual([]);
  expect(api.configMaps.validate?.(data(1024 * 1024 + 1))).toEqual([
    { reason: "FieldValueTooLong", field: "[]", message: "Too long: may not be more than 1048576 bytes" },
  ]);
  const secret = (length: number) => ({ metadata: { name: "a" }, data: { key: btoa("x".repeat(length)) } });
  expect(api.secrets.validate?.(secret(1024 * 1024))).toEqual([]);
  expect(api.secrets.validate?.(secret(1024 * 1024 + 1))).toHaveLength(1);
});

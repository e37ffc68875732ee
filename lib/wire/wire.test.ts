import { expect, test } from "vitest";
import { catalog, type Kind, pods } from "#api";
import { duplicateKeys, negotiate, readObject } from "./index.ts";
import { decodeEnvelope, encodeEnvelope } from "./protobuf.ts";

const config = catalog.find(({ plural }) => plural === "configmaps") as Kind;
const bytes = (text: string) => new TextEncoder().encode(text);

test("a pod survives the way through protobuf", () => {
  const pod = {
    metadata: { name: "p", labels: { a: "b" }, creationTimestamp: "2026-01-02T03:04:05Z", generation: 3 },
    spec: {
      containers: [
        {
          name: "c",
          image: "i",
          ports: [{ containerPort: 80, protocol: "TCP" }],
          resources: { limits: { cpu: "100m", memory: "1Gi" } },
          livenessProbe: { httpGet: { path: "/", port: "http" }, periodSeconds: 5 },
          lifecycle: { preStop: { exec: { command: ["sleep", "1"] } } },
        },
      ],
      volumes: [{ name: "v", configMap: { name: "m", items: [{ key: "k", path: "p" }] } }],
      terminationGracePeriodSeconds: 30,
      hostNetwork: true,
    },
  };
  const shape = pods.shape;
  const envelope = decodeEnvelope(encodeEnvelope({ apiVersion: "v1", kind: "Pod" }, shape, pod as never));
  expect(envelope).toMatchObject({ apiVersion: "v1", kind: "Pod" });
  expect(envelope.decode(shape)).toEqual(pod);
});

test("every kind's empty object survives protobuf", () => {
  for (const kind of catalog) {
    const shape = kind.shape;
    const bytesOf = encodeEnvelope({ apiVersion: "v1", kind: kind.kind }, shape, { metadata: { name: "x" } });
    expect(decodeEnvelope(bytesOf).decode(shape), kind.kind).toMatchObject({ metadata: { name: "x" } });
  }
});

test("refuses truncated and malformed protobuf", () => {
  const shape = config.shape;
  const whole = encodeEnvelope({ apiVersion: "v1", kind: "ConfigMap" }, shape, {
    metadata: { name: "x" },
    data: { a: "b" },
  });
  for (let length = 5; length < whole.length - 4; length++) {
    expect(() => decodeEnvelope(whole.subarray(0, length)).decode(shape)).not.toThrow(TypeError);
  }
  expect(() => decodeEnvelope(bytes("{}"))).toThrow(/does not appear to be a protobuf message/);
});

test("JSON is refused with one clear error each", async () => {
  const rows: [string, RegExp][] = [
    ["{", /json parse error/],
    ["[]", /cannot unmarshal array/],
    ['{"data":{"a":1}}', /cannot unmarshal number into Go struct field ConfigMap\.data/],
    ['{"kind":"Secret","apiVersion":"v1"}', /Secret in version "v1" cannot be handled as a ConfigMap/],
    ['{"kind":"ConfigMap","apiVersion":"apps/v1"}', /the API version in the data \(apps\/v1\) does not match/],
    [`{"data":${'{"a":'.repeat(10_000)}1${"}".repeat(10_000)}}`, /nests deeper/],
    ['{"binaryData":{"a":"*"}}', /illegal base64 data at input byte 0/],
  ];
  for (const [text, expected] of rows)
    await expect(readObject(config, bytes(text), undefined, "Strict"), text).rejects.toThrow(expected);
  await expect(readObject(config, Uint8Array.of(0xff, 0xfe), "application/yaml", "Strict")).rejects.toThrow(/UTF-8/);
  await expect(readObject(config, bytes("{}"), "text/html", "Strict")).rejects.toThrow(/accepted media types include/);
});

test("unknown and duplicate members are reported by their paths", async () => {
  const text = '{"metadata":{"name":"a","zzz":1},"data":{"a":"1","a":"2"},"list":[{"x":1}]}';
  expect(duplicateKeys(text)).toEqual(["data.a"]);
  await expect(readObject(config, bytes(text), undefined, "Strict")).rejects.toThrow(
    'strict decoding error: unknown field "metadata.zzz", duplicate field "data.a", unknown field "list"',
  );
  expect(await readObject(config, bytes(text), undefined, "Warn")).toMatchObject({
    object: { data: { a: "2" } },
    warnings: ['unknown field "metadata.zzz"', 'duplicate field "data.a"', 'unknown field "list"'],
  });
  expect((await readObject(config, bytes(text), undefined, "Ignore")).warnings).toEqual([]);
});

test("the Accept header decides", () => {
  expect(negotiate(undefined)).toEqual({ encoding: "json" });
  expect(negotiate("application/vnd.kubernetes.protobuf,application/json")).toEqual({ encoding: "json" });
  expect(negotiate("application/json;as=Table;v=v1;g=meta.k8s.io,application/json")).toEqual({
    encoding: "json",
    as: "Table",
    version: "v1",
  });
  expect(negotiate("application/yaml")).toEqual({ encoding: "yaml" });
  const table = "application/json;as=Table;v=v1;g=meta.k8s.io";
  expect(negotiate(`${table},application/json`, { tables: false })).toEqual({ encoding: "json" });
  expect(() => negotiate(table, { tables: false })).toThrow(/only the following media types are accepted/);
  // Both as v1.37.2 answers: its router knows no such type, its negotiation no such form.
  const types = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
  const streams = "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";
  const unknown = "406: Not Acceptable\n\nAvailable representations: ";
  expect(() => negotiate("image/png")).toThrow(`${unknown}${types}`);
  expect(() => negotiate("image/png", { path: "collection" })).toThrow(`${unknown}${types}, ${streams}`);
  expect(() => negotiate("constructor")).toThrow(`${unknown}${types}`);
  expect(() => negotiate("application/json;as=constructor;v=v1;g=meta.k8s.io")).toThrow(
    `only the following media types are accepted: ${types}`,
  );
  expect(() => negotiate("application/json;v=v1")).toThrow(`only the following media types are accepted: ${types}`);
  expect(() => negotiate("application/yaml", { path: "watch" })).toThrow(
    `only the following media types are accepted: ${streams}`,
  );
  const binary = "application/vnd.kubernetes.protobuf";
  expect(negotiate(binary)).toEqual({ encoding: "protobuf" });
  expect(() => negotiate(`${binary};as=Table;v=v1;g=meta.k8s.io`)).toThrow(types);
});

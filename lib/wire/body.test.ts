import { expect, test } from "vitest";
import { configMaps, secrets } from "#api";
import { deployments } from "#api/apps";
import { mediaTypeOf, readObject } from "./index.ts";
import { utf8Text } from "./utf8.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const sent = (kind: Parameters<typeof readObject>[0], text: string, type = "application/json") =>
  readObject(kind, bytes(text), type, "Warn");

// All of these as v1.37.2 answers.
test.each([
  ["", "unexpected end of JSON input (<empty>)"],
  ["{", "unexpected end of JSON input ({)"],
  ['{"a":1,', 'unexpected end of JSON input ({"a":1,)'],
  ['{"a":1,}', `invalid character '}' looking for beginning of object key string ({"a":1,})`],
  ["{a:1}", "invalid character 'a' looking for beginning of object key string ({a:1})"],
  ['{"a":tru}', `invalid character '}' in literal true (expecting 'e') ({"a":tru})`],
  ['{"a":01}', `invalid character '1' after object key:value pair ({"a":01})`],
  ['{"a":1.}', `invalid character '}' after decimal point in numeric literal ({"a":1.})`],
  ['{"a":1ex}', `invalid character 'x' in exponent of numeric literal ({"a":1ex})`],
  ['{"a":-}', `invalid character '}' in numeric literal ({"a":-})`],
  ['{"a":"\u0001"}', `invalid character '\\x01' in string literal ({"a":"\u0001"})`],
  ['{"a":"\\q"}', `invalid character 'q' in string escape code ({"a":"\\q"})`],
  ['{"a":"\\u12x4"}', `invalid character 'x' in \\u hexadecimal character escape ({"a":"\\u12x4"})`],
  ["{} x", "invalid character 'x' after top-level value ({} x)"],
  ['{"a":1 "b":2}', `invalid character '"' after object key:value pair ({"a":1 "b":2})`],
  ["[1 2]", "invalid character '2' after array element (5b3120325d)"],
  ["{'a':1}", "invalid character '\\'' looking for beginning of object key string ({'a':1})"],
  ["\ufeff{}", "invalid character 'ï' looking for beginning of value (efbbbf7b7d)"],
  [
    '{"metadata":{"name":"q"}} {"x":1}',
    `invalid character '{' after top-level value ({"metadata":{"name":"q"}} {"x" ...)`,
  ],
  [
    '{"apiVersion":5}',
    'json: cannot unmarshal number into Go struct field .apiVersion of type string ({"apiVersion":5})',
  ],
  ['{"kind":["x"]}', 'json: cannot unmarshal array into Go struct field .kind of type string ({"kind":["x"]})'],
  [
    "5",
    'json: cannot unmarshal number into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" } (35)',
  ],
])("%j cannot be read", async (text, words) => {
  const message = `the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: ${words}`;
  await expect(sent(configMaps, text)).rejects.toMatchObject({ code: 400, message });
});

test("null is an object without members", async () => {
  expect((await sent(configMaps, "null")).object).toEqual((await sent(configMaps, "{}")).object);
  expect((await sent(configMaps, "", "application/yaml")).object).toEqual((await sent(configMaps, "{}")).object);
});

test("a number with a fraction or an exponent is no integer", async () => {
  for (const source of ["3.0", "1e3", "0.0", "1E400", "3.5"]) {
    await expect(sent(deployments, `{"spec":{"replicas":${source}}}`)).rejects.toMatchObject({
      code: 400,
      message: `Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal number ${source} into Go struct field DeploymentSpec.spec.replicas of type int32`,
    });
  }
  const port = '{"spec":{"template":{"spec":{"containers":[{"name":"a:1.0,2e5"},{"ports":[{"containerPort":1.0}]}]}}}}';
  await expect(sent(deployments, port)).rejects.toThrow(
    /number 1\.0 into Go struct field ContainerPort\.spec\.template\.spec\.containers\.ports\.containerPort of type int32$/,
  );
  const surge = '{"spec":{"strategy":{"rollingUpdate":{"maxSurge": 3.0}}}}';
  await expect(sent(deployments, surge)).rejects.toThrow(
    /number 3\.0 into Go struct field RollingUpdateDeployment\.spec\.strategy\.rollingUpdate\.maxSurge of type int32$/,
  );
  const { object } = await sent(deployments, '{"spec":{"replicas":-0}}');
  expect(Number((object as { spec: { replicas: number } }).spec.replicas)).toBeCloseTo(0);
});

test("a number that a later member hides is looked for in vain", async () => {
  const limits = '"resources":{"limits":{"cpu":1.0}}';
  const hidden = `{"spec":{"template":{"spec":{"containers":[{"name":"c",${limits},"resources":null}]}}}}`;
  expect((await sent(deployments, hidden)).warnings).toHaveLength(1);
  const gone = `{"spec":{"template":{"spec":{"containers":[{${limits}}]}}},"spec":null}`;
  for (const text of [gone, '{"spec":{"x":1.0},"spec":5}']) {
    await sent(deployments, text).catch((error) => expect(error.code).toBe(400));
  }
});

test("keeps the format of a quantity's number", async () => {
  const cpu = '{"spec":{"template":{"spec":{"containers":[{"name":"c","resources":{"limits":{"cpu":1e3,"x":1.0}}}]}}}}';
  expect((await sent(deployments, cpu)).object).toMatchObject({
    spec: { template: { spec: { containers: [{ resources: { limits: { cpu: "1e3", x: "1" } } }] } } },
  });
});

test("base64 is stored in its canonical form", async () => {
  const { object } = await sent(secrets, '{"data":{"a":"aGl=","b":"YR==","c":"aG\\nk="}}');
  expect(object).toMatchObject({ data: { a: "aGk=", b: "YQ==", c: "aGk=" } });
  await expect(sent(secrets, '{"data":{"a":"YQ==YQ=="}}')).rejects.toThrow(/illegal base64 data at input byte 4$/);
});

test("bytes that are no character, and halves of characters, become U+FFFD", async () => {
  const odd = [0x22, 0xff, 0xe2, 0x82, 0x78, 0xc0, 0xaf, 0xed, 0xa0, 0x80, 0xf0, 0x9f, 0x98, 0xc3, 0xa9, 0x22];
  expect(JSON.parse(utf8Text(Uint8Array.from(odd)))).toBe(
    "\ufffd\ufffd\ufffdx\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffdé",
  );
  const { object } = await sent(configMaps, '{"data":{"a":"\\ud83d","b":"\\ud83d\\ude00"}}');
  expect(object).toMatchObject({ data: { a: "\ufffd", b: "😀" } });
  await expect(readObject(configMaps, Uint8Array.of(0x61, 0xff), "application/yaml", "Warn")).rejects.toMatchObject({
    code: 400,
  });
});

test("media types are those that upstream knows", async () => {
  for (const type of ["application/x-yaml", "text/yaml", "text/plain", "application/json;x", "; x", "*/*"]) {
    await expect(sent(configMaps, "{}", type)).rejects.toMatchObject({ code: 415 });
  }
  for (const type of [
    "application/json; charset=utf-8",
    "APPLICATION/JSON",
    'application/json; a="b c"',
    "application/json;",
  ]) {
    expect(mediaTypeOf(type)).toBe("application/json");
  }
});

test("YAML: each member that is set twice is a warning, and all together are one error", async () => {
  const text = "metadata:\n  name: a\n  name: b\ndata:\n  k: '1'\n  k: '2'\nfoo: 1\n";
  const { object, warnings } = await sent(configMaps, text, "application/yaml");
  expect(object).toMatchObject({ metadata: { name: "b" }, data: { k: "2" } });
  expect(warnings).toEqual([
    'line 3: key "name" already set in map',
    'line 6: key "k" already set in map',
    'unknown field "foo"',
  ]);
  await expect(readObject(configMaps, bytes(text), "application/yaml", "Strict")).rejects.toThrow(
    'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: yaml: unmarshal errors:\n  line 3: key "name" already set in map\n  line 6: key "k" already set in map, unknown field "foo"',
  );
  await expect(sent(configMaps, "data: {a: *nope}", "application/yaml")).rejects.toThrow(
    "the object provided is unrecognized (must be of type ConfigMap): yaml: unknown anchor 'nope' referenced (646174613a207b613a202a6e6f70657d)",
  );
});

test("text that costs much to read is refused soon", async () => {
  const dear = ["- ".repeat(200_000), "[".repeat(200_000), "? ".repeat(200_000), "{a: ".repeat(200_000)];
  for (const text of dear) {
    await expect(sent(configMaps, text, "application/yaml")).rejects.toMatchObject({ code: 400 });
  }
});

// As v1.37.2 answers: the findings of a strict decoder are in the order of the text.
test("reports unknown and shadowed members in the order of the text", async () => {
  const text = '{"metadata":{"name":"a"},"spec":{"x":1,"paused":true,"paused":false,"y":2,"paused":true}}';
  const { warnings } = await readObject(deployments, bytes(text), "application/json", "Warn");
  expect(warnings).toEqual(['unknown field "spec.x"', 'duplicate field "spec.paused"', 'unknown field "spec.y"']);
});

test("a strict decoder names 100 faults, as upstream's, and limits the length of the text", async () => {
  const object = (names: string[]) => `{${names.map((name) => `"${name}":1,"${name}":1`).join()}}`;
  const many = Array.from({ length: 200 }, (_, index) => `b${index}`);
  expect((await sent(configMaps, `{"x":${object(many)}}`)).warnings).toHaveLength(100);
  // Each path would be as long as the key.
  const deep = await sent(configMaps, `{"${"k".repeat(300_000)}":${object(many)}}`);
  const text = deep.warnings.join("");
  expect(deep.warnings.length).toBeGreaterThan(1);
  expect(text.length).toBeLessThan(2_000_000);
  // The same path over and over.
  const again = `{"x":{"${"k".repeat(1_000_000)}":{${Array(100_000).fill('"a":1').join()}}}}`;
  expect((await sent(configMaps, again)).warnings.length).toBeLessThan(5);
});

test("numbers with a fraction at a great depth cost no memory", async () => {
  const { fractionalNumbers } = await import("./scan.ts");
  const text = `{"x":${"[".repeat(490)}${Array(700_000).fill("1.0").join()}${"]".repeat(490)}}`;
  let count = 0;
  for (const { path } of fractionalNumbers(text)) count += path.length > 490 ? 1 : 0;
  expect(count).toBe(700_000);
});

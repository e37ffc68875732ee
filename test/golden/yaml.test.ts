import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { catalog } from "#api";
import { type Json, type JsonObject, parseJson, stringifyJson } from "#base";
import { yaml } from "#wire";
import { readRows } from "./read.ts";

const { parseYaml, printYaml } = await yaml();
const read = (file: string): unknown => parseJson(readFileSync(join(import.meta.dirname, file), "utf8"));

interface Row {
  yaml: string;
  json?: Json;
  /** What upstream says of text that it cannot read. */
  error?: string;
  strict?: string;
}

describe("YAML is read as by sigs.k8s.io/yaml", () => {
  const { rows } = read("yaml.json") as { rows: Row[] };
  test("there are rows enough", () => expect(rows.length).toBeGreaterThan(490));
  test.each(rows)("$yaml", (row) => {
    let got: object;
    try {
      const { json, strict } = parseYaml(row.yaml);
      const text = stringifyJson(json);
      got = strict.length === 0 ? { json: text } : { json: text, strict: strict.join() };
    } catch (error) {
      expect((error as { code: number }).code).toBe(400);
      got = { error: "" };
    }
    const { json, strict, error } = row;
    const expected = { json: stringifyJson(json), ...(strict === undefined ? {} : { strict }) };
    expect(got).toEqual(error === undefined ? expected : { error: "" });
  });
});

/** Text that some reader takes for something else, or that a writer may spoil. */
const texts = [
  ..."yes no on off y n true false null ~ Yes NO TRUE .inf .nan << = - + . : ? # ! & * | > % @ ` ' [ ] { } ,".split(
    " ",
  ),
  ..."1 01 0o17 0x1F 0b1 1_000 1.5 .5 5. 1e3 +5 -0 1:30 10:30 190:20:30 22:22 1.2.3 1.2.3.4 --- ...".split(" "),
  ..."2026-03-01 2026-3-1 2026-03-01T10:00:00Z a:b a: :a a#b -a - ?x !x &x *x |x >x %x @x `x x' 'x \"x [x {x #x".split(
    " ",
  ),
  ...[
    "",
    " ",
    " a",
    "a ",
    "a: b",
    "a #b",
    "- a",
    "? a",
    "2001-12-14 21:59:43.10 -5",
    "2026-03-01 10:00:00",
    "a\tb",
    "\t",
  ],
  ...[
    "a\nb",
    "a\n",
    "a\n\n",
    "\n",
    "\na",
    " a\nb",
    "a \nb",
    "a\n b\n",
    "a\n\tb",
    "a\r\nb",
    "a\n---\nb",
    "#a\nb",
    "- a\n- b\n",
  ],
  ...[
    "\u0000",
    "\u0007",
    "\u007f",
    "\u0085",
    "\u00a0",
    "\u2028",
    "\u2029",
    "\ufeff",
    "\ufffd",
    "\uffff",
    "é",
    "😀",
    "a\u2028b\nc",
  ],
  ...[
    '{"a":1}',
    "[1, 2]",
    "http://x.y/z?q=1&r=2#f",
    "x".repeat(300),
    `${"word ".repeat(60)}end`,
    "C:\\x\\y",
    "'",
    "''",
    '"',
  ],
];

/** As a reader of YAML 1.1 sees it that knows times, base 60 and merge keys. */
const parse11 = (text: string): unknown => parse(text, { version: "1.1", merge: true });

test("every reader returns the same text", () => {
  const value = { list: texts, map: Object.fromEntries(texts.map((text, index) => [text, index])), nested: [[texts]] };
  const printed = printYaml(value);
  expect(parseYaml(printed)).toEqual({ json: JSON.parse(JSON.stringify(value)), strict: [] });
  expect(parse(printed)).toEqual(JSON.parse(JSON.stringify(value)));
  for (const text of texts) {
    expect(parse11(printYaml({ k: text, l: [text], [text]: 1 }))).toEqual({ k: text, l: [text], [text]: 1 });
    expect(parseYaml(printYaml(text)).json).toBe(text);
  }
});

test("a million line breaks are printed at once", () => {
  const text = `x${"\n".repeat(1_000_000)}x`;
  expect(printYaml({ text })).toHaveLength(`text: |-\n  x\n  x\n`.length - 1 + 1_000_000);
});

test("an alias of a long text is not written out over and over", () => {
  const aliases = (count: number) => Array(count).fill("*a").join();
  const text = (length: number, count: number) => `a: &a ${"k".repeat(length)}\nb: [${aliases(count)}]\n`;
  expect((parseYaml(text(1000, 100)).json as { b: string[] }).b).toHaveLength(100);
  expect(() => parseYaml(text(1_000_000, 4))).toThrow("yaml: document contains excessive aliasing");
});

test("numbers, booleans, nulls and empty collections come back", () => {
  const value = {
    a: [0, -1, 1.5, 1e21, 9007199254740993n, true, false, null, [], {}, [[]], [{}]],
    b: {},
    c: [],
    d: { e: [{ f: [] }] },
  };
  expect(parseYaml(printYaml(value)).json).toEqual(value);
});

// sigs.k8s.io/yaml's form: members sorted, lists at the column of their member.
test("objects are printed in upstream's form", () => {
  const value = {
    spec: { ports: [{ port: 80, name: "http" }], args: ["-c", "a b"], none: [] },
    kind: "X",
    at: "10:30",
    t: "a\nb\n",
  };
  expect(printYaml(value)).toBe(
    'at: "10:30"\nkind: X\nspec:\n  args:\n  - -c\n  - a b\n  none: []\n  ports:\n  - name: http\n    port: 80\nt: |\n  a\n  b\n',
  );
});

const time = "2026-03-01T10:00:00Z";

describe("objects of every kind come back from YAML", () => {
  const full = read("protobuf.json") as { kind: string; name: string; json: JsonObject }[];
  const golden = readRows().flatMap(({ rows }) => rows.map((row) => (row.out ?? row.object) as JsonObject));
  const others: Record<string, JsonObject> = {
    TokenRequest: {
      spec: { audiences: ["a"], expirationSeconds: 600 },
      status: { token: "e.y.J", expirationTimestamp: time },
    },
    TokenReview: {
      spec: { token: "e.y.J" },
      status: { authenticated: true, user: { username: "no", groups: ["1e3"] } },
    },
    AccessEntry: { metadata: { name: "a", creationTimestamp: time }, spec: { groups: ["yes"], username: "010" } },
    NodePortAllocation: { metadata: { name: "30000", creationTimestamp: time } },
    NodeMetrics: { metadata: { name: "n" }, timestamp: time, window: "15s", usage: { cpu: "1e3", memory: "0" } },
    PodMetrics: {
      ...{ metadata: { name: "p" }, timestamp: time, window: "1m0s" },
      containers: [{ name: "no", usage: { cpu: "5n" } }],
    },
    PodCidrAllocation: { metadata: { name: "n", creationTimestamp: time }, spec: { range: "10.0.0.0/24" } },
  };
  const objects = [...Object.values(others), ...full.map(({ json }) => json), ...golden];

  test("each kind has an object here", () => {
    const kinds = new Set([...full.map(({ kind }) => kind), ...Object.keys(others)]);
    expect(catalog.filter((kind) => !kinds.has(kind.kind)).map((kind) => kind.kind)).toEqual([]);
  });

  test("they do", () => {
    for (const json of objects) {
      const printed = printYaml(json);
      expect(parseYaml(printed)).toEqual({ json, strict: [] });
      expect(parse11(printed)).toEqual(json);
    }
  });
});

test("long text is broken as kube-apiserver breaks it", () => {
  const words = (word: string, count: number) => Array<string>(count).fill(word).join(" ");
  const value = {
    d: `two  spaces ${words("plain words", 5)} plain  ${words("words plain", 2)} words`,
    l: "one: two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen",
    p: `${words("plain words", 8)} end`,
    q: `it's: ${words("words", 17)}`,
    x: `${"a".repeat(102)} bbb ccc`,
  };
  // Seen on v1.37.2.
  expect(printYaml({ data: value })).toBe(`data:
  d: two  spaces plain words plain words plain words plain words plain words plain  words
    plain words plain words
  l: 'one: two three four five six seven eight nine ten eleven twelve thirteen fourteen
    fifteen sixteen seventeen'
  p: plain words plain words plain words plain words plain words plain words plain
    words plain words end
  q: 'it''s: words words words words words words words words words words words words
    words words words words words'
  x: ${"a".repeat(102)}
    bbb ccc
`);
  expect(parseYaml(printYaml({ data: value })).json).toEqual({ data: value });
  const tabs = { e: `\t${words("words", 12)}  ${words("words", 8)}` };
  expect(parseYaml(printYaml(tabs)).json).toEqual(tabs);
});

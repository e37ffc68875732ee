import {
  type Alias,
  Composer,
  type CST,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  type Pair,
  Parser,
  type Scalar,
  type YAMLMap,
  type YAMLSeq,
} from "yaml";
import { type ApiError, badRequest, type Json, type JsonObject } from "#base";
import { maximumDepth } from "./scan.ts";
import { indentFlow } from "./yaml-relax.ts";
import { goSyntax, jsonOf, keyTextOf, type Resolved, resolvePlain, resolveTagged } from "./yaml-scalars.ts";
import { syntaxWords } from "./yaml-words.ts";

/** The value, and the findings of a strict reader: one line for each duplicate member. */
export interface ParsedYaml {
  json: Json;
  strict: string[];
}

/**
 * Parses the first document of a stream as sigs.k8s.io/yaml does, which is YAML 1.1 by go-yaml v2: times stay text,
 * 0o17 and 017 are octal, `yes` and `on` are true, base 60 is text, keys become text, `<<` merges. An empty stream is
 * null. Members come sorted; of a key that is set twice the last one counts. Throws ApiError 400 for what is no YAML or
 * has no JSON.
 */
export function parseYaml(text: string): ParsedYaml {
  try {
    checkCharacters(text);
    const { document, lines } = composed(text);
    if (!document) return { json: null, strict: [] };
    if (document.directives?.yaml.explicit && document.directives.yaml.version !== "1.1") {
      throw badRequest("yaml: found incompatible YAML document");
    }
    const reader = new Reader(document, lines);
    const json = document.contents === null ? null : reader.read(document.contents as Node, 0);
    const problems = reader.problems.map((problem) => `\n  ${problem}`);
    return { json, strict: problems.length === 0 ? [] : [`yaml: unmarshal errors:${problems.join("")}`] };
  } catch (error) {
    throw error instanceof RangeError ? tooDeep() : error;
  }
}

const tooDeep = (): ApiError => badRequest(`the body of the request nests deeper than ${maximumDepth} levels`);

/** Characters that YAML does not allow anywhere, as libyaml's reader looks for them. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const forbidden = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ufffe\uffff]/;

function checkCharacters(text: string): void {
  if (forbidden.test(text)) throw badRequest("yaml: control characters are not allowed");
}

interface Composed {
  document: Document.Parsed | undefined;
  lines: LineCounter;
}

/** Throws ApiError 400 for what is no YAML, however it is indented. */
function composed(text: string): Composed {
  const first = firstDocument(text);
  const [error] = first.document?.errors ?? [];
  if (!error) return first;
  const second = firstDocument(indentFlow(text));
  if (second.document?.errors.length === 0) return second;
  throw badRequest(`yaml: ${syntaxWords(error, first.lines)}`);
}

function firstDocument(text: string): Composed {
  const lines = new LineCounter();
  // "failsafe": every scalar stays text, what it means is decided here.
  const composer = new Composer({
    version: "1.1",
    schema: "failsafe",
    merge: false,
    uniqueKeys: false,
    logLevel: "error",
  });
  for (const document of composer.compose(tokensOf(text, lines), false, text.length)) {
    return { document: document as Document.Parsed, lines };
  }
  return { document: undefined, lines };
}

/**
 * Reads tokens until the first error, since errors are expensive and a text may consist of them. Throws ApiError 400 as
 * soon as more than `maximumDepth` collections are open: the parser is recursive.
 */
function* tokensOf(text: string, lines: LineCounter): Generator<CST.Token> {
  const parser = new Parser(lines.addNewLine);
  lines.addNewLine(0);
  for (const lexeme of new Lexer().lex(text)) {
    for (const token of parser.next(lexeme)) {
      yield token;
      if (token.type === "error") return;
    }
    // A collection and what is in it may take two places.
    if (parser.stack.length > 2 * maximumDepth) throw tooDeep();
  }
  yield* parser.end();
}

/** Below so many steps any share of them may come from aliases (go-yaml's `allowedAliasRatio`). */
const [fewSteps, manySteps] = [400_000, 4_000_000];

/** The most characters from aliases: JSON repeats the text of an alias at each use. */
const mostAliasText = 3 * 1024 * 1024;

const excessiveAliasing = (): ApiError => badRequest("yaml: document contains excessive aliasing");

function allowedAliasShare(steps: number): number {
  if (steps <= fewSteps) return 0.99;
  if (steps >= manySteps) return 0.1;
  return 0.99 - 0.89 * ((steps - fewSteps) / (manySteps - fewSteps));
}

class Reader {
  readonly problems: string[] = [];
  readonly #lines: LineCounter;
  readonly #targets = new Map<Alias, Node>();
  readonly #open = new Set<Node>();
  #steps = 0;
  #aliasSteps = 0;
  #aliasDepth = 0;
  #aliasText = 0;

  constructor(document: Document.Parsed, lines: LineCounter) {
    this.#lines = lines;
    if (document.contents) this.#bind(document.contents as Node, new Map());
  }

  /** Ties each alias to the node that had its anchor last before it. */
  #bind(node: Node | null, anchors: Map<string, Node>): void {
    if (node === null) return;
    if (isAlias(node)) {
      const target = anchors.get(node.source);
      if (!target) throw badRequest(`yaml: unknown anchor '${node.source}' referenced`);
      this.#targets.set(node, target);
      return;
    }
    const { anchor } = node as Scalar;
    if (anchor !== undefined) anchors.set(anchor, node);
    if (isSeq(node)) for (const item of node.items) this.#bind(item as Node, anchors);
    if (!isMap(node)) return;
    for (const { key, value } of node.items as Pair<Node, Node | null>[]) {
      this.#bind(key, anchors);
      this.#bind(value, anchors);
    }
  }

  read(node: Node | null, depth: number): Json {
    this.#step(depth);
    if (node === null) return null;
    if (isAlias(node)) return this.#through(node, (target) => this.read(target, depth));
    if (isScalar(node)) return jsonOf(this.#resolve(node));
    if (isSeq(node)) return (node as YAMLSeq<Node>).items.map((item) => this.read(item, depth + 1));
    const members = new Map<string, Member>();
    this.#readMap(node as YAMLMap<Node, Node | null>, members, depth);
    return objectOf(members);
  }

  #step(depth: number): void {
    if (depth > maximumDepth) throw tooDeep();
    this.#steps++;
    if (this.#aliasDepth > 0) this.#aliasSteps++;
    const share = this.#aliasSteps / this.#steps;
    if (this.#aliasSteps > 100 && this.#steps > 1000 && share > allowedAliasShare(this.#steps)) {
      throw excessiveAliasing();
    }
  }

  #resolve(node: Scalar): Resolved {
    if (this.#aliasDepth > 0) this.#aliasText += String(node.value ?? "").length;
    if (this.#aliasText > mostAliasText) throw excessiveAliasing();
    return resolve(node);
  }

  #through<T>(alias: Alias, read: (target: Node) => T): T {
    const target = this.#targets.get(alias)!;
    if (this.#open.has(target)) throw badRequest(`yaml: anchor '${alias.source}' value contains itself`);
    this.#open.add(target);
    this.#aliasDepth++;
    try {
      return read(target);
    } finally {
      this.#aliasDepth--;
      this.#open.delete(target);
    }
  }

  #readMap(node: YAMLMap<Node, Node | null>, members: Map<string, Member>, depth: number): void {
    for (const { key, value } of node.items) {
      if (isMergeKey(key)) this.#merge(value, members, depth);
      else {
        this.#step(depth);
        const name = this.#keyOf(key);
        this.#set(name, value, this.read(value, depth + 1), members);
      }
    }
  }

  #set(name: Resolved, node: Node | null, value: Json, members: Map<string, Member>): void {
    const id = `${name.tag === "float" || name.tag === "int" || name.tag === "bool" ? name.tag : ""}:${String(name.value)}`;
    if (members.has(id)) this.problems.push(`line ${this.#lineOf(node)}: key ${goSyntax(name)} already set in map`);
    members.set(id, { name, value });
  }

  #lineOf(node: Node | null): number {
    return this.#lines.linePos(node?.range?.[0] ?? 0).line;
  }

  #keyOf(key: Node | null): Resolved {
    if (key === null) return { tag: "null", value: null };
    if (isAlias(key)) return this.#through(key, (target) => this.#keyOf(target));
    if (isScalar(key)) return this.#resolve(key);
    throw badRequest(`yaml: invalid map key: ${isSeq(key) ? "[]interface {}" : "map[interface {}]interface {}"}`);
  }

  /** `<<`: the members of a map, or of several, of which the first one counts. What is set before it is set again. */
  #merge(value: Node | null, members: Map<string, Member>, depth: number): void {
    const target = isAlias(value) ? this.#targets.get(value)! : value;
    if (isSeq(value)) {
      for (const item of [...(value as YAMLSeq<Node>).items].reverse()) {
        const meant = isAlias(item) ? this.#targets.get(item)! : item;
        if (!isMap(meant)) throw notMap();
        this.#merge(item, members, depth + 1);
      }
      return;
    }
    if (!isMap(target)) throw notMap();
    this.#step(depth);
    const into = (map: Node) => this.#readMap(map as YAMLMap<Node, Node | null>, members, depth + 1);
    if (isAlias(value)) this.#through(value, into);
    else into(target);
  }
}

const notMap = (): ApiError => badRequest("yaml: map merge requires map or sequence of maps as the value");

interface Member {
  name: Resolved;
  value: Json;
}

function objectOf(members: ReadonlyMap<string, Member>): JsonObject {
  const named: [string, Json][] = [];
  for (const { name, value } of members.values()) {
    const text = keyTextOf(name);
    if (text === undefined)
      throw badRequest(`unsupported map key of type: ${goSyntax(name) === "<nil>" ? "%!s(<nil>)" : "uint64"}`);
    named.push([text, value]);
  }
  named.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  const object: JsonObject = {};
  for (const [key, value] of named) {
    Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
  }
  return object;
}

const isMergeKey = (key: Node | null): boolean =>
  isScalar(key) &&
  key.value === "<<" &&
  ((key.type === "PLAIN" && key.tag === undefined) || key.tag === "tag:yaml.org,2002:merge");

function resolve(node: Scalar): Resolved {
  const text = String(node.value ?? "");
  if (node.tag !== undefined && node.tag !== "tag:yaml.org,2002:str") return resolveTagged(node.tag, text);
  const plain = node.type === "PLAIN" && node.tag === undefined;
  return plain ? resolvePlain(text) : { tag: "str", value: text };
}

import { dirname, join, normalize } from "node:path";
import {
  clockFree,
  clockNames,
  rooms as house,
  isTest,
  type Room,
  testsAlsoSee,
  testsAlsoUse,
  withoutClock,
  withoutKinds,
} from "./rooms.ts";
import { importsOf, type Token, tokenize } from "./tokens.ts";

export interface Source {
  /** Path from the project's root. */
  file: string;
  text: string;
}

export interface Survey {
  files: number;
  imports: number;
  violations: string[];
}

export interface SurveyOptions {
  sources: readonly Source[];
  /** The `imports` map of package.json. */
  doors: Readonly<Record<string, string>>;
  /** Names of kinds, such as `Deployment`. */
  kinds: readonly string[];
  rooms?: Readonly<Record<string, Room>>;
}

const largest = 400;
const widest = 120;
const longestHeader = 8;
const mostMethods = 8;

const matches = (patterns: readonly string[], name: string): boolean =>
  patterns.some((pattern) => (pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : pattern === name));

/** Checks every source file against the rules. */
export function survey({ sources, doors, kinds, rooms = house }: SurveyOptions): Survey {
  const names = Object.keys(rooms).sort((a, b) => b.length - a.length);
  const roomOf = (file: string): string | undefined =>
    names.find((room) => file === room || file.startsWith(`${room}/`));
  const violations: string[] = [];
  let imports = 0;
  for (const { file, text } of sources) {
    const room = roomOf(file);
    const rule = room === undefined ? undefined : rooms[room];
    if (room === undefined || !rule) {
      violations.push(`${file} lives in no room`);
      continue;
    }
    const say = (line: number, what: string) => violations.push(`${file}:${line}: ${what}`);
    const tokens = tokenize(text);
    for (const { specifier, line } of importsOf(tokens)) {
      imports++;
      const wrong = judge(specifier, file, room, rule, doors, roomOf);
      if (wrong) say(line, wrong);
    }
    if (isTest(file) || room.startsWith("test")) continue;
    for (const { line, what } of [...clocks(room, tokens), ...named(room, kinds, tokens), ...sizes(file, text)])
      say(line, what);
    for (const what of ports(tokens)) say(1, what);
  }
  return { files: sources.length, imports, violations };
}

function judge(
  specifier: string,
  file: string,
  room: string,
  rule: Room,
  doors: Readonly<Record<string, string>>,
  roomOf: (file: string) => string | undefined,
): string | undefined {
  const test = isTest(file);
  const sees = [...rule.sees, ...(test ? testsAlsoSee : [])];
  const uses = [...(rule.uses ?? []), ...(test ? testsAlsoUse : [])];
  const relative = specifier.startsWith(".");
  if (!relative && !specifier.startsWith("#")) {
    return matches(uses, specifier) ? undefined : `${room} may not use package ${specifier}`;
  }
  const target = relative ? normalize(join(dirname(file), specifier)) : openDoor(specifier, doors);
  if (target === undefined) return `there is no door ${specifier}`;
  const there = roomOf(target);
  if (there === room) return undefined;
  // A driver's tests are beside it and run the conformance suite of the port above it.
  if (relative && test && there !== undefined && room.startsWith(`${there}/`)) return undefined;
  if (relative) return `'${specifier}' climbs through the wall into ${there ?? "nowhere"}`;
  return there !== undefined && matches(sees, there) ? undefined : `${room} may not see ${there ?? target}`;
}

function openDoor(specifier: string, doors: Readonly<Record<string, string>>): string | undefined {
  const exact = doors[specifier];
  if (exact !== undefined) return exact.slice(2);
  for (const [name, target] of Object.entries(doors)) {
    const [head, tail] = name.split("*");
    if (tail === undefined || head === undefined || !specifier.startsWith(head)) continue;
    return target.slice(2).replace("*", specifier.slice(head.length));
  }
  return undefined;
}

interface Fault {
  line: number;
  what: string;
}

function clocks(room: string, tokens: readonly Token[]): Fault[] {
  if (!withoutClock.some((name) => room === name || room.startsWith(`${name}/`))) return [];
  const forbidden = clockNames.filter((name) => !clockFree[room]?.includes(name));
  return tokens.flatMap((token, index): Fault[] => {
    const before = tokens[index - 1]?.text;
    const member = token.type !== "word" || before === "." || tokens[index + 1]?.text === ":" || before === "#";
    if (!member && forbidden.includes(token.text))
      return [{ line: token.line, what: `${token.text} comes in as an argument` }];
    const chance = token.text === "Math" && tokens[index + 2]?.text === "random";
    return chance ? [{ line: token.line, what: "Math.random comes in as an argument" }] : [];
  });
}

function named(room: string, kinds: readonly string[], tokens: readonly Token[]): Fault[] {
  if (!withoutKinds.some((name) => room === name || room.startsWith(`${name}/`))) return [];
  const names = new Set(kinds);
  return tokens
    .filter(({ type, text }) => type !== "mark" && names.has(text))
    .map(({ line, text }) => ({ line, what: `${room} names the kind ${text}` }));
}

function sizes(file: string, text: string): Fault[] {
  const lines = text.split("\n");
  const faults: Fault[] = [];
  if (lines.length > largest + 1)
    faults.push({ line: largest, what: `the file has ${lines.length - 1} lines, more than ${largest}` });
  for (const [index, line] of lines.entries()) {
    // A string that cannot be broken may exceed the limit; the formatter breaks everything else.
    if (line.length > widest && !/["'`/]/.test(line))
      faults.push({ line: index + 1, what: `the line is wider than ${widest}` });
  }
  if (file.endsWith("/index.ts") && file.split("/").length === 3) {
    const header = /^\/\*\*[\s\S]*?\*\//.exec(text)?.[0];
    if (!header) faults.push({ line: 1, what: "a room opens with a comment that says what it is" });
    else if (header.split("\n").length > longestHeader + 2)
      faults.push({ line: 1, what: `a room's comment has at most ${longestHeader} lines` });
  }
  return faults;
}

/** Ports: interfaces that must stay small. */
function ports(tokens: readonly Token[]): string[] {
  const wrong: string[] = [];
  for (const [index, token] of tokens.entries()) {
    const name = tokens[index + 1]?.text ?? "";
    if (token.text !== "interface" || !portNames.has(name)) continue;
    let depth = 0;
    let methods = 0;
    for (let at = index + 2; at < tokens.length; at++) {
      const { text } = tokens[at]!;
      if (text === "{") depth++;
      else if (text === "}" && --depth === 0) break;
      const next = tokens[at + 1]?.text;
      const opens = depth === 1 && tokens[at]!.type === "word" && (next === "(" || next === "<");
      const starts = tokens[at - 1]?.text === "{" || tokens[at - 1]?.text === ";";
      if (opens && starts) methods++;
    }
    if (methods > mostMethods) wrong.push(`the port ${name} has ${methods} methods, more than ${mostMethods}`);
  }
  return wrong;
}

const portNames = new Set(["Store", "Client", "Runtime", "NodeLinks", "Clock", "Random", "Log"]);

import { resolvePlain } from "./yaml-scalars.ts";

/**
 * Prints JSON data as YAML in upstream's form: members sorted, lists not indented below their member. Text that any
 * reader of YAML 1.1 or 1.2 might take for something else is quoted. Members that are undefined are left out.
 */
export function printYaml(value: unknown): string {
  const lines: string[] = [];
  block(value, "", "", lines);
  return `${lines.join("\n")}\n`;
}

/** Prints a value whose first line continues `head`; the lines that follow begin with `indent`. */
function block(value: unknown, head: string, indent: string, lines: string[]): void {
  if (Array.isArray(value) && value.length > 0) {
    const item = head.endsWith("- ") || head === "" ? indent : indent.slice(2);
    let first = head.endsWith("- ") ? head : undefined;
    if (first === undefined && head !== "") lines.push(head);
    for (const element of value) {
      block(element, `${first ?? item}- `, `${item}  `, lines);
      first = undefined;
    }
    return;
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    const members = membersOf(value);
    if (members.length > 0) {
      let first = head.endsWith("- ") ? head : undefined;
      if (first === undefined && head !== "") lines.push(head);
      for (const [key, member] of members) {
        block(member, `${first ?? indent}${inline(key)}:`, `${indent}  `, lines);
        first = undefined;
      }
      return;
    }
  }
  const gap = head === "" || head.endsWith(" ") ? "" : " ";
  lines.push(`${head}${gap}${scalar(value, indent, [...head].length + gap.length)}`);
}

const membersOf = (value: object): [string, unknown][] =>
  Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));

function scalar(value: unknown, indent: string, column: number): string {
  if (Array.isArray(value)) return "[]";
  if (value === null || value === undefined) return "null";
  if (typeof value === "object") return "{}";
  if (typeof value !== "string") return String(value);
  return literal(value, indent) ?? folded(inline(value), indent, column);
}

/** Text beyond this column continues in the next line, as in libyaml's emitter. */
const bestWidth = 80;

/** Text of one line, plain or in quotes, that begins at a column: broken at the first single blanks beyond the width. */
function folded(text: string, indent: string, column: number): string {
  if (column + text.length <= bestWidth) return text;
  const characters = [...text];
  const isDouble = text.startsWith('"');
  const last = characters.length - (isDouble || text.startsWith("'") ? 2 : 1);
  const first = characters.length - 1 - last;
  let [made, at, isAfterBlank] = ["", column, false];
  for (const [index, character] of characters.entries()) {
    const next = characters[index + 1];
    const mayBreak = index > first && index < last && (isDouble || next !== " ");
    if (character === " " && !isAfterBlank && at > bestWidth && mayBreak) {
      // In double quotes a blank that begins a line would be lost.
      const rest = next === " " ? "\\" : "";
      made += `\n${indent}${rest}`;
      at = indent.length + rest.length;
    } else {
      made += character;
      at++;
    }
    isAfterBlank = character === " ";
  }
  return made;
}

/** What libyaml calls printable, less the line breaks that only YAML 1.1 knows, tabs and the byte order mark. */
const printable = /^[\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\u{10000}-\u{10ffff}]*$/u;

/** Text of several lines as it is, behind `|`; undefined where that would not read back. */
function literal(text: string, indent: string): string | undefined {
  if (!text.includes("\n") || /^[\s]|[ \t]\n|[ \t]$/.test(text)) return undefined;
  const lines = text.split("\n");
  if (!lines.every((line) => printable.test(line))) return undefined;
  let trailing = 0;
  while (text.at(-1 - trailing) === "\n") trailing++;
  if (trailing > 0) lines.pop();
  const chomp = trailing === 0 ? "-" : trailing === 1 ? "" : "+";
  const inner = indent === "" ? "  " : indent;
  return `|${chomp}\n${lines.map((line) => (line === "" ? "" : inner + line)).join("\n")}`;
}

function inline(text: string): string {
  if (!printable.test(text)) return escaped(text);
  if (!isText(text)) return `"${text}"`;
  return isPlain(text) ? text : `'${text.replaceAll("'", "''")}'`;
}

/** A double-quoted scalar is a JSON string in which all that is not printable is escaped. */
const escaped = (text: string): string =>
  JSON.stringify(text).replace(
    /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

/** Numbers, times and words of readers that are not go-yaml: base 60, dates with blanks, `=`. */
const otherReaders =
  /^(?:=|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?|\d{4}-\d\d?-\d\d?(?:[Tt\s].*)?|[-+]?[0-9.][0-9_.]*(?:[eE][-+]?[0-9]+)?|[-+]?0[xob][0-9a-fA-F_]*)$/;

const isText = (text: string): boolean => resolvePlain(text).tag === "str" && !otherReaders.test(text);

/** Whether text needs no quotes in block context (libyaml's `yaml_emitter_analyze_scalar`). */
const isPlain = (text: string): boolean =>
  !/^(?:---|\.\.\.|[#,[\]{}&*!|>'"%@`]|[-?:](?:\s|$)|\s)|:(?:\s|$)|\s#|\s$/.test(text);

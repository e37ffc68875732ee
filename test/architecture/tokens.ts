/** A token of TypeScript source: a word, a string, or a mark for everything else. */
export interface Token {
  type: "word" | "string" | "mark";
  text: string;
  line: number;
}

const wordStart = /[A-Za-z_$]/;
const wordPart = /[\w$]/;
/** After one of these a slash begins a regular expression; after anything else that can end an expression it divides. */
const beforeRegex = new Set([
  "return",
  "typeof",
  "case",
  "in",
  "of",
  "delete",
  "void",
  "throw",
  "new",
  "else",
  "do",
  "yield",
  "await",
]);

/** Splits source into tokens. Comments are left out; expressions in `${}` of a template are read as code. */
export function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  let line = 1;
  const push = (type: Token["type"], text: string) => tokens.push({ type, text, line });
  const skip = (count: number) => {
    for (let index = 0; index < count; index++) if (source[at++] === "\n") line++;
  };
  /** Depth of braces at which each open template goes on. */
  const templates: number[] = [];
  let depth = 0;
  const template = () => {
    // Text of a template up to its end or to the next `${`.
    let text = "";
    while (at < source.length && source[at] !== "`") {
      if (source[at] === "\\") {
        text += source[at + 1] ?? "";
        skip(2);
      } else if (source.startsWith("${", at)) {
        push("string", text);
        skip(2);
        templates.push(depth);
        depth++;
        return;
      } else {
        text += source[at];
        skip(1);
      }
    }
    push("string", text);
    skip(1);
  };
  const divides = (): boolean => {
    const last = tokens.at(-1);
    if (!last) return false;
    if (last.type === "word") return !beforeRegex.has(last.text);
    return last.type === "string" || last.text === ")" || last.text === "]" || last.text === "}";
  };
  while (at < source.length) {
    const char = source[at]!;
    if (source.startsWith("//", at)) {
      while (at < source.length && source[at] !== "\n") at++;
    } else if (source.startsWith("/*", at)) skip(Math.max(2, source.indexOf("*/", at + 2) + 2 - at));
    else if (char === '"' || char === "'") {
      let text = "";
      skip(1);
      while (at < source.length && source[at] !== char) {
        if (source[at] === "\\") skip(1);
        text += source[at] ?? "";
        skip(1);
      }
      push("string", text);
      skip(1);
    } else if (char === "`") {
      skip(1);
      template();
    } else if (char === "/" && !divides()) {
      let set = false;
      skip(1);
      while (at < source.length && (source[at] !== "/" || set) && source[at] !== "\n") {
        if (source[at] === "\\") skip(1);
        else if (source[at] === "[") set = true;
        else if (source[at] === "]") set = false;
        skip(1);
      }
      skip(1);
      push("string", "");
    } else if (wordStart.test(char)) {
      let end = at;
      while (end < source.length && wordPart.test(source[end]!)) end++;
      push("word", source.slice(at, end));
      at = end;
    } else if (char === "}" && templates.length > 0 && templates.at(-1) === depth - 1) {
      templates.pop();
      depth--;
      skip(1);
      template();
    } else {
      if (char === "{") depth++;
      if (char === "}") depth--;
      if (!/\s/.test(char)) push("mark", char);
      skip(1);
    }
  }
  return tokens;
}

/** An import of another module. */
export interface Import {
  specifier: string;
  line: number;
}

/** All references to other modules: static, dynamic, required, built in, or by a URL beside the file. */
export function importsOf(tokens: readonly Token[]): Import[] {
  const found: Import[] = [];
  const is = (index: number, text: string) => tokens[index]?.type !== "string" && tokens[index]?.text === text;
  const take = (index: number) => {
    const token = tokens[index];
    if (token?.type === "string") found.push({ specifier: token.text, line: token.line });
  };
  for (const [index, token] of tokens.entries()) {
    if (token.type !== "word") continue;
    const member = is(index - 1, ".");
    if (token.text === "from" && !member) take(index + 1);
    else if (token.text === "import" && !member) take(is(index + 1, "(") ? index + 2 : index + 1);
    else if (token.text === "require" && is(index + 1, "(")) take(index + 2);
    else if (token.text === "getBuiltinModule" && is(index + 1, "(")) take(index + 2);
    else if (token.text === "URL" && is(index + 1, "(") && is(index + 3, ",") && is(index + 4, "import"))
      take(index + 2);
  }
  return found;
}

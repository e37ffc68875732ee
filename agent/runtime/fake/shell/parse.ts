/** A word in pieces: literal text, or something to expand; quoted pieces are not split at blanks. */
export type Piece =
  | { kind: "text"; text: string; quoted: boolean }
  | { kind: "variable"; name: string; fallback?: string; quoted: boolean }
  | { kind: "command"; script: string; quoted: boolean }
  | { kind: "arithmetic"; expression: string };
export type Word = Piece[];

export interface Redirect {
  stream: 0 | 1 | 2;
  to: Word | "stdout" | "stderr";
  append: boolean;
}

export type Node =
  | { kind: "simple"; assignments: { name: string; value: Word }[]; words: Word[]; redirects: Redirect[] }
  | { kind: "pipe"; parts: Node[] }
  | { kind: "and" | "or" | "then"; left: Node; right: Node }
  | { kind: "not"; body: Node }
  | { kind: "if"; condition: Node; body: Node; otherwise?: Node }
  | { kind: "loop"; condition: Node; until: boolean; body: Node }
  | { kind: "for"; name: string; words: Word[]; body: Node };

export class ShellSyntaxError extends Error {}

type Token = { kind: "word"; word: Word; plain?: string } | { kind: "operator"; text: string } | Redirection;
type Redirection = { kind: "redirect"; stream: 0 | 1 | 2; mode: "<" | ">" | ">>" | ">&" };

/** A shell script as a tree. Throws ShellSyntaxError for what is wrong and for what this shell has not. */
export function parseShell(script: string): Node {
  const tokens = tokenize(script);
  let at = 0;
  const peek = (): Token | undefined => tokens[at];
  const isOperator = (...texts: string[]): boolean => {
    const token = peek();
    return token?.kind === "operator" && texts.includes(token.text);
  };
  const isKeyword = (...texts: string[]): boolean => {
    const token = peek();
    return token?.kind === "word" && token.plain !== undefined && texts.includes(token.plain);
  };
  const expect = (keyword: string): void => {
    if (!isKeyword(keyword)) throw new ShellSyntaxError(`syntax error: expected "${keyword}"`);
    at++;
  };

  const list = (...ends: string[]): Node => {
    let node: Node | undefined;
    for (;;) {
      while (isOperator(";", "\n")) at++;
      if (!peek() || isKeyword(...ends) || isOperator(")", "}")) break;
      const next = andOr();
      node = node ? { kind: "then", left: node, right: next } : next;
      if (!isOperator(";", "\n")) break;
    }
    return node ?? { kind: "simple", assignments: [], words: [], redirects: [] };
  };
  const andOr = (): Node => {
    let node = pipeline();
    while (isOperator("&&", "||")) {
      const kind = (tokens[at++] as { text: string }).text === "&&" ? "and" : "or";
      while (isOperator("\n")) at++;
      node = { kind, left: node, right: pipeline() };
    }
    return node;
  };
  const pipeline = (): Node => {
    if (isKeyword("!")) {
      at++;
      return { kind: "not", body: pipeline() };
    }
    const parts = [command()];
    while (isOperator("|")) {
      at++;
      parts.push(command());
    }
    return parts.length === 1 ? parts[0]! : { kind: "pipe", parts };
  };
  const ifRest = (): Node => {
    const condition = list("then");
    expect("then");
    const body = list("elif", "else", "fi");
    const node: Node = { kind: "if", condition, body };
    if (isKeyword("elif")) {
      at++;
      return { ...node, otherwise: ifRest() };
    }
    if (isKeyword("else")) {
      at++;
      node.otherwise = list("fi");
    }
    expect("fi");
    return node;
  };
  const command = (): Node => {
    if (isKeyword("while", "until")) {
      const until = (tokens[at++] as { plain: string }).plain === "until";
      const condition = list("do");
      expect("do");
      const body = list("done");
      expect("done");
      return { kind: "loop", condition, until, body };
    }
    if (isKeyword("for")) {
      at++;
      const name = tokens[at++];
      if (name?.kind !== "word" || name.plain === undefined) throw new ShellSyntaxError("syntax error: bad for loop");
      expect("in");
      const words: Word[] = [];
      for (let token = peek(); token?.kind === "word"; token = peek()) {
        words.push(token.word);
        at++;
      }
      while (isOperator(";", "\n")) at++;
      expect("do");
      const body = list("done");
      expect("done");
      return { kind: "for", name: name.plain, words, body };
    }
    if (isKeyword("if")) {
      at++;
      return ifRest();
    }
    if (isKeyword("case", "function", "{")) throw new ShellSyntaxError(`${plainOf(peek())}: not in this shell`);
    return simple();
  };
  const simple = (): Node => {
    const node: Node = { kind: "simple", assignments: [], words: [], redirects: [] };
    const start = at;
    for (let token = peek(); token && token.kind !== "operator"; token = peek()) {
      at++;
      if (token.kind === "redirect") {
        node.redirects.push(redirect(token));
        continue;
      }
      const assignment = node.words.length === 0 ? assignmentOf(token.word) : undefined;
      if (assignment) node.assignments.push(assignment);
      else node.words.push(token.word);
    }
    if (at === start) throw new ShellSyntaxError(`syntax error: unexpected "${plainOf(peek()) ?? "end"}"`);
    return node;
  };
  const redirect = (token: Redirection): Redirect => {
    const target = tokens[at++];
    if (target?.kind !== "word") throw new ShellSyntaxError("syntax error: redirection to nothing");
    if (token.mode !== ">&") return { stream: token.stream, to: target.word, append: token.mode === ">>" };
    return { stream: token.stream, to: target.plain === "2" ? "stderr" : "stdout", append: false };
  };

  const tree = list();
  if (at < tokens.length) throw new ShellSyntaxError(`syntax error: unexpected "${plainOf(tokens[at])}"`);
  return tree;
}

const plainOf = (token: Token | undefined): string | undefined =>
  token?.kind === "word" ? (token.plain ?? "word") : token?.kind === "operator" ? token.text : token?.mode;

function assignmentOf(word: Word): { name: string; value: Word } | undefined {
  const first = word[0];
  if (first?.kind !== "text" || first.quoted) return undefined;
  const match = /^([A-Za-z_]\w*)=/.exec(first.text);
  if (!match) return undefined;
  const rest = { ...first, text: first.text.slice(match[0].length) };
  return { name: match[1]!, value: rest.text === "" ? word.slice(1) : [rest, ...word.slice(1)] };
}

const operators = ["&&", "||", ";", "|", "\n", ")"];

function tokenize(script: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < script.length) {
    const character = script[at]!;
    if (character === " " || character === "\t" || character === "\r") at++;
    else if (character === "#") while (at < script.length && script[at] !== "\n") at++;
    else {
      const redirect = /^([012]?)(>>|>&|>|<)/.exec(script.slice(at, at + 3));
      const operator = operators.find((text) => script.startsWith(text, at));
      if (redirect) {
        const stream = Number(redirect[1] === "" ? (redirect[2] === "<" ? 0 : 1) : redirect[1]) as 0 | 1 | 2;
        tokens.push({ kind: "redirect", stream, mode: redirect[2] as Redirection["mode"] });
        at += redirect[0].length;
      } else if (operator) {
        tokens.push({ kind: "operator", text: operator });
        at += operator.length;
      } else if (character === "&" || character === "(" || character === "`") {
        throw new ShellSyntaxError(`${character}: not in this shell`);
      } else {
        const { word, end } = readWord(script, at);
        const only = word.length === 1 ? word[0] : undefined;
        tokens.push({
          kind: "word",
          word,
          ...(only?.kind === "text" && !only.quoted ? { plain: only.text } : {}),
        });
        at = end;
      }
    }
  }
  return tokens;
}

function readWord(script: string, start: number): { word: Word; end: number } {
  const word: Word = [];
  let text = "";
  let at = start;
  const flush = (quoted: boolean, always = false): void => {
    if (text !== "" || always) word.push({ kind: "text", text, quoted });
    text = "";
  };
  while (at < script.length && !/[\s;|&<>()]/.test(script[at]!)) {
    const character = script[at]!;
    if (character === "'") {
      flush(false);
      const end = script.indexOf("'", at + 1);
      if (end < 0) throw new ShellSyntaxError("syntax error: unterminated quoted string");
      text = script.slice(at + 1, end);
      flush(true, true);
      at = end + 1;
    } else if (character === '"') {
      flush(false);
      at++;
      while (script[at] !== '"') {
        if (at >= script.length) throw new ShellSyntaxError("syntax error: unterminated quoted string");
        if (script[at] === "\\" && /["\\$`\n]/.test(script[at + 1] ?? "")) {
          text += script[at + 1];
          at += 2;
        } else if (script[at] === "$") {
          flush(true);
          at = readDollar(script, at, word, true);
        } else text += script[at++];
      }
      flush(true, true);
      at++;
    } else if (character === "\\") {
      flush(false);
      text = script[at + 1] ?? "";
      flush(true);
      at += 2;
    } else if (character === "$") {
      flush(false);
      at = readDollar(script, at, word, false);
    } else {
      text += character;
      at++;
    }
  }
  flush(false);
  return { word, end: at };
}

function readDollar(script: string, at: number, word: Word, quoted: boolean): number {
  const arithmetic = script.startsWith("$((", at) ? script.indexOf("))", at) : -1;
  if (arithmetic > 0) {
    word.push({ kind: "arithmetic", expression: script.slice(at + 3, arithmetic) });
    return arithmetic + 2;
  }
  if (script[at + 1] === "(") {
    let depth = 0;
    for (let end = at + 1; end < script.length; end++) {
      if (script[end] === "(") depth++;
      if (script[end] === ")" && --depth === 0) {
        word.push({ kind: "command", script: script.slice(at + 2, end), quoted });
        return end + 1;
      }
    }
    throw new ShellSyntaxError("syntax error: unterminated $(");
  }
  const braced = /^\$\{(\w+|[?#@*])(?::?-([^}]*))?\}/.exec(script.slice(at));
  const bare = /^\$([A-Za-z_]\w*|[0-9?#@*$])/.exec(script.slice(at));
  const match = braced ?? bare;
  if (!match) {
    if (script[at + 1] === "{")
      throw new ShellSyntaxError("bad substitution: only names and :- defaults are in this shell");
    word.push({ kind: "text", text: "$", quoted: true });
    return at + 1;
  }
  const fallback = braced?.[2];
  word.push({ kind: "variable", name: match[1]!, quoted, ...(fallback === undefined ? {} : { fallback }) });
  return at + match[0].length;
}

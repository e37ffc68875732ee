/** A word in pieces: literal text, or an expansion; quoted pieces are not split at blanks. */
export type Piece =
  | { kind: "text"; text: string; quoted: boolean }
  | { kind: "variable"; name: string; fallback?: string | undefined; quoted: boolean }
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

/**
 * Parses a shell script into a tree. Throws ShellSyntaxError for wrong syntax and for syntax this shell does not
 * support.
 */
export const parseShell = (script: string): Node => new Parser(tokenize(script)).parse();

/** A recursive-descent parser over the tokens of one script. */
class Parser {
  readonly #tokens: Token[];
  /** The next token's index. */
  #at = 0;

  constructor(tokens: Token[]) {
    this.#tokens = tokens;
  }

  parse(): Node {
    const tree = this.#list();
    const next = this.#peek();
    if (next) throw new ShellSyntaxError(`syntax error: unexpected "${plainOf(next)}"`);
    return tree;
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#at];
  }

  #isOperator(...texts: string[]): boolean {
    const token = this.#peek();
    return token?.kind === "operator" && texts.includes(token.text);
  }

  #isKeyword(...texts: string[]): boolean {
    const token = this.#peek();
    return token?.kind === "word" && token.plain !== undefined && texts.includes(token.plain);
  }

  /** Consumes the operator if it is next. */
  #accept(...operators: string[]): string | undefined {
    const token = this.#peek();
    if (token?.kind !== "operator" || !operators.includes(token.text)) return undefined;
    this.#at++;
    return token.text;
  }

  /** Consumes the keyword if it is next. */
  #acceptKeyword(...keywords: string[]): string | undefined {
    const token = this.#peek();
    if (token?.kind !== "word" || token.plain === undefined || !keywords.includes(token.plain)) return undefined;
    this.#at++;
    return token.plain;
  }

  #expect(keyword: string): void {
    if (!this.#acceptKeyword(keyword)) throw new ShellSyntaxError(`syntax error: expected "${keyword}"`);
  }

  #list(...ends: string[]): Node {
    let node: Node | undefined;
    for (;;) {
      while (this.#accept(";", "\n"));
      if (!this.#peek() || this.#isKeyword(...ends) || this.#isOperator(")", "}")) break;
      const next = this.#andOr();
      node = node ? { kind: "then", left: node, right: next } : next;
      if (!this.#isOperator(";", "\n")) break;
    }
    return node ?? { kind: "simple", assignments: [], words: [], redirects: [] };
  }

  #andOr(): Node {
    let node = this.#pipeline();
    for (let operator = this.#accept("&&", "||"); operator; operator = this.#accept("&&", "||")) {
      while (this.#accept("\n"));
      node = { kind: operator === "&&" ? "and" : "or", left: node, right: this.#pipeline() };
    }
    return node;
  }

  #pipeline(): Node {
    if (this.#acceptKeyword("!")) return { kind: "not", body: this.#pipeline() };
    const first = this.#command();
    const parts = [first];
    while (this.#accept("|")) parts.push(this.#command());
    return parts.length === 1 ? first : { kind: "pipe", parts };
  }

  #command(): Node {
    const loop = this.#acceptKeyword("while", "until");
    if (loop) return this.#loop(loop === "until");
    if (this.#acceptKeyword("for")) return this.#for();
    if (this.#acceptKeyword("if")) return this.#if();
    if (this.#isKeyword("case", "function", "{")) {
      throw new ShellSyntaxError(`${plainOf(this.#peek())}: not in this shell`);
    }
    return this.#simple();
  }

  #loop(until: boolean): Node {
    const condition = this.#list("do");
    return { kind: "loop", condition, until, body: this.#loopBody() };
  }

  #for(): Node {
    const name = this.#tokens[this.#at++];
    if (name?.kind !== "word" || name.plain === undefined) throw new ShellSyntaxError("syntax error: bad for loop");
    this.#expect("in");
    const words: Word[] = [];
    for (let token = this.#peek(); token?.kind === "word"; token = this.#peek()) {
      words.push(token.word);
      this.#at++;
    }
    while (this.#accept(";", "\n"));
    return { kind: "for", name: name.plain, words, body: this.#loopBody() };
  }

  #loopBody(): Node {
    this.#expect("do");
    const body = this.#list("done");
    this.#expect("done");
    return body;
  }

  /** What follows `if` or `elif`, up to and including `fi`. */
  #if(): Node {
    const condition = this.#list("then");
    this.#expect("then");
    const node: Node = { kind: "if", condition, body: this.#list("elif", "else", "fi") };
    if (this.#acceptKeyword("elif")) return { ...node, otherwise: this.#if() };
    if (this.#acceptKeyword("else")) node.otherwise = this.#list("fi");
    this.#expect("fi");
    return node;
  }

  #simple(): Node {
    const node: Node = { kind: "simple", assignments: [], words: [], redirects: [] };
    const start = this.#at;
    for (let token = this.#peek(); token && token.kind !== "operator"; token = this.#peek()) {
      this.#at++;
      if (token.kind === "redirect") {
        node.redirects.push(this.#redirect(token));
        continue;
      }
      const assignment = node.words.length === 0 ? assignmentOf(token.word) : undefined;
      if (assignment) node.assignments.push(assignment);
      else node.words.push(token.word);
    }
    if (this.#at === start) {
      throw new ShellSyntaxError(`syntax error: unexpected "${plainOf(this.#peek()) ?? "end"}"`);
    }
    return node;
  }

  #redirect(token: Redirection): Redirect {
    const target = this.#tokens[this.#at++];
    if (target?.kind !== "word") throw new ShellSyntaxError("syntax error: redirection to nothing");
    if (token.mode !== ">&") return { stream: token.stream, to: target.word, append: token.mode === ">>" };
    return { stream: token.stream, to: target.plain === "2" ? "stderr" : "stdout", append: false };
  }
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
  word.push({ kind: "variable", name: match[1]!, quoted, fallback });
  return at + match[0].length;
}

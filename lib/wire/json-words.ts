/**
 * The error of Go's encoding/json for text that is no JSON. Call it only for such text. Characters beyond ASCII are
 * named by their first byte, as in Go.
 */
export function jsonSyntaxError(text: string): string {
  try {
    new Scanner(text).document();
  } catch (error) {
    if (error instanceof Fault) return error.message;
    throw error;
  }
  return "unexpected end of JSON input";
}

class Fault extends Error {}

const blank = /[ \t\r\n]/;

/** Reads JSON with a stack of its own: the text may nest as deep as it likes. */
class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): void {
    const open: ("object" | "array")[] = [];
    for (;;) {
      if (this.#value(open)) continue;
      // A value has ended: the collection around it may end too.
      for (;;) {
        const inside = open.at(-1);
        const next = this.#peek();
        if (inside === undefined) {
          if (next === undefined) return;
          throw this.#wrong("after top-level value");
        }
        this.#at++;
        if (next === ",") {
          if (inside === "object") this.#key();
          break;
        }
        if (next === (inside === "object" ? "}" : "]")) open.pop();
        else {
          this.#at--;
          throw this.#wrong(inside === "object" ? "after object key:value pair" : "after array element");
        }
      }
    }
  }

  /** Reads a scalar, an empty container, or opens one: then true, and a value has to follow. */
  #value(open: ("object" | "array")[]): boolean {
    const first = this.#peek();
    if (first === "{") {
      this.#at++;
      if (this.#closes("}")) return false;
      open.push("object");
      this.#key();
      return true;
    }
    if (first === "[") {
      this.#at++;
      if (this.#closes("]")) return false;
      open.push("array");
      return true;
    }
    if (first === '"') this.#string();
    else if (first === "t") this.#literal("true");
    else if (first === "f") this.#literal("false");
    else if (first === "n") this.#literal("null");
    else if (first !== undefined && /[-0-9]/.test(first)) this.#number();
    else throw this.#wrong("looking for beginning of value");
    return false;
  }

  /** The next character that is no blank; undefined at the end. */
  #peek(): string | undefined {
    while (blank.test(this.#text[this.#at] ?? "")) this.#at++;
    return this.#text[this.#at];
  }

  #closes(bracket: string): boolean {
    if (this.#peek() !== bracket) return false;
    this.#at++;
    return true;
  }

  #key(): void {
    if (this.#peek() !== '"') throw this.#wrong("looking for beginning of object key string");
    this.#string();
    if (this.#peek() !== ":") throw this.#wrong("after object key");
    this.#at++;
  }

  #string(): void {
    for (this.#at++; ; this.#at++) {
      const char = this.#text[this.#at];
      if (char === '"') {
        this.#at++;
        return;
      }
      if (char === undefined || char < " ") throw this.#wrong("in string literal");
      if (char !== "\\") continue;
      this.#at++;
      const code = this.#text[this.#at];
      if (code === "u") {
        for (let digit = 0; digit < 4; digit++) {
          this.#at++;
          this.#expect(/[0-9a-fA-F]/, "in \\u hexadecimal character escape");
        }
      } else this.#expect(/["\\/bfnrt]/, "in string escape code");
    }
  }

  #literal(word: string): void {
    for (const char of word) {
      if (this.#text[this.#at] !== char) throw this.#wrong(`in literal ${word} (expecting ${quoted(char)})`);
      this.#at++;
    }
  }

  #number(): void {
    if (this.#text[this.#at] === "-") this.#at++;
    this.#expect(/[0-9]/, "in numeric literal");
    if (this.#text[this.#at] === "0") this.#at++;
    else this.#digits();
    if (this.#text[this.#at] === ".") {
      this.#at++;
      this.#expect(/[0-9]/, "after decimal point in numeric literal");
      this.#digits();
    }
    if (/[eE]/.test(this.#text[this.#at] ?? "")) {
      this.#at++;
      if (/[-+]/.test(this.#text[this.#at] ?? "")) this.#at++;
      this.#expect(/[0-9]/, "in exponent of numeric literal");
      this.#digits();
    }
  }

  #digits(): void {
    while (/[0-9]/.test(this.#text[this.#at] ?? "")) this.#at++;
  }

  /** Looks at the character here, and leaves it. */
  #expect(wanted: RegExp, where: string): void {
    if (!wanted.test(this.#text[this.#at] ?? "")) throw this.#wrong(where);
  }

  #wrong(where: string): Fault {
    const char = this.#text[this.#at];
    if (char === undefined) return new Fault("unexpected end of JSON input");
    return new Fault(`invalid character ${quoted(char)} ${where}`);
  }
}

/** A character as Go's strconv.Quote has it, in single quotes. */
function quoted(char: string): string {
  if (char === "'") return "'\\''";
  if (char === '"') return "'\"'";
  if (char === "\\") return "'\\\\'";
  const named = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f", "\v": "\\v", "\x07": "\\a" }[char];
  if (named) return `'${named}'`;
  const byte = new TextEncoder().encode(char)[0]!;
  if (byte < 0x20 || byte === 0x7f) return `'\\x${byte.toString(16).padStart(2, "0")}'`;
  if (byte >= 0x80 && byte < 0xa0) return `'\\u00${byte.toString(16)}'`;
  return `'${String.fromCharCode(byte)}'`;
}

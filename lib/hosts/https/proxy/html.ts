import { Transform } from "node:stream";
import { StringDecoder } from "node:string_decoder";

/** Attributes with URLs, by element; those that upstream rewrites (transport.go, atomsToAttrs). */
const attributes: Readonly<Record<string, readonly string[]>> = {
  a: ["href"],
  applet: ["codebase"],
  area: ["href"],
  audio: ["src"],
  base: ["href"],
  blockquote: ["cite"],
  body: ["background"],
  button: ["formaction"],
  command: ["icon"],
  del: ["cite"],
  embed: ["src"],
  form: ["action"],
  frame: ["longdesc", "src"],
  head: ["profile"],
  html: ["manifest"],
  iframe: ["longdesc", "src"],
  img: ["longdesc", "src", "usemap"],
  input: ["src", "usemap", "formaction"],
  ins: ["cite"],
  link: ["href"],
  object: ["classid", "codebase", "data", "usemap"],
  q: ["cite"],
  script: ["src"],
  source: ["src"],
  video: ["poster", "src"],
};

/** Elements whose content is text, whatever it looks like. */
const rawText = new Set([
  "iframe",
  "noembed",
  "noframes",
  "noscript",
  "plaintext",
  "script",
  "style",
  "textarea",
  "title",
  "xmp",
]);

/** Characters after which an unfinished tag is passed on as it is, which bounds the memory of a response. */
const longestTag = 64 * 1024;

const startTag = /^<[A-Za-z]/;
const wholeTag = /^<[A-Za-z][^\s/>]*(?:"[^"]*"|'[^']*'|[^"'>])*>/;
const attribute = /([^\s/=>"']+)(\s*=\s*)("[^"]*"|'[^']*'|[^\s"'>]+)/g;

/**
 * Rewrites the links of a page in UTF-8 as it streams by. Only the values of attributes with URLs change; upstream also
 * writes every other attribute of a start tag in a canonical form.
 */
export class LinkRewriter extends Transform {
  readonly #rewrite: (link: string) => string;
  readonly #decoder = new StringDecoder("utf8");
  #rest = "";
  /** The element whose text is passed on unread; "" outside of one. */
  #inside = "";

  constructor(rewrite: (link: string) => string) {
    super();
    this.#rewrite = rewrite;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#rest += this.#decoder.write(chunk);
    this.#process(false);
    done();
  }

  override _flush(done: () => void): void {
    this.#rest += this.#decoder.end();
    this.#process(true);
    done();
  }

  #process(isLast: boolean): void {
    let out = "";
    let at = 0;
    const text = this.#rest;
    while (at < text.length) {
      const isMarkup = this.#inside === "";
      const length = isMarkup ? this.#token(text, at) : this.#text(text, at);
      if (length === 0) break;
      const token = text.slice(at, at + length);
      out += isMarkup && startTag.test(token) ? this.#tag(token) : token;
      at += length;
    }
    this.#rest = text.slice(at);
    if (isLast || this.#rest.length > longestTag) {
      out += this.#rest;
      this.#rest = "";
    }
    if (out !== "") this.push(out);
  }

  /** The length of the text, comment or tag at `at`; 0 while its end has not arrived. */
  #token(text: string, at: number): number {
    if (text[at] !== "<") return lengthTo(text, at, "<", 0) || text.length - at;
    if (text.startsWith("<!--", at)) return lengthTo(text, at, "-->", 3);
    if (text.length - at < 4 && "<!--".startsWith(text.slice(at))) return 0;
    if (!/[A-Za-z]/.test(text[at + 1]!))
      return text[at + 1] === "!" || text[at + 1] === "/" ? lengthTo(text, at, ">", 1) : 1;
    return wholeTag.exec(text.slice(at, at + longestTag))?.[0].length ?? 0;
  }

  /** The length of an element's text, up to its end tag; 0 while the end tag may have begun. */
  #text(text: string, at: number): number {
    const lower = text.slice(at).toLowerCase();
    const end = lower.indexOf(`</${this.#inside}`);
    if (end >= 0) {
      this.#inside = "";
      // The end tag itself is a token of its own.
      return end > 0 ? end : this.#token(text, at);
    }
    const last = lower.lastIndexOf("<");
    return last < 0 || lower.length - last > this.#inside.length + 2 ? lower.length : last;
  }

  #tag(tag: string): string {
    const name = /^<([A-Za-z][^\s/>]*)/.exec(tag)![1]!.toLowerCase();
    if (rawText.has(name) && !tag.endsWith("/>")) this.#inside = name;
    const known = attributes[name];
    if (!known) return tag;
    const start = name.length + 1;
    return (
      tag.slice(0, start) +
      tag.slice(start).replace(attribute, (all, key: string, equals: string, value: string) => {
        if (!known.includes(key.toLowerCase())) return all;
        const quote = /^["']/.test(value) ? value[0]! : "";
        const link = unescaped(quote === "" ? value : value.slice(1, -1));
        return `${key}${equals}"${escaped(this.#rewrite(link))}"`;
      })
    );
  }
}

function lengthTo(text: string, at: number, mark: string, more: number): number {
  const end = text.indexOf(mark, at + 1);
  return end < 0 ? 0 : end + more - at;
}

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

const unescaped = (text: string): string =>
  text.replace(/&(?:#(\d{1,6})|#[xX]([\da-fA-F]{1,5})|(amp|lt|gt|quot|apos));/g, (all, decimal, hex, name) => {
    if (name) return entities[name]!;
    const code = decimal ? Number(decimal) : Number.parseInt(hex, 16);
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : all;
  });

const escaped = (text: string): string =>
  text.replace(/[&<>"']/g, (mark) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;" })[mark]!);

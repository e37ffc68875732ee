import { badRequest } from "#base";
import { labelKeyErrors } from "./names.ts";
import { type Requirement, requirementErrors, type Selector } from "./selector.ts";

/*
 * The `labelSelector` parameter: equality (`a=b`, `a==b`, `a!=b`), sets (`a in (x,y)`, `a notin (x)`), existence (`a`,
 * `!a`) and comparison (`a>1`, `a<1`), with the refusals of upstream's parser (apimachinery, pkg/labels/selector.go).
 */

const symbols = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"];

function tokensOf(text: string): string[] {
  const found: string[] = [];
  for (let at = 0; at < text.length; ) {
    if (/[ \t\r\n]/.test(text[at]!)) {
      at++;
      continue;
    }
    const symbol = symbols.find((candidate) => text.startsWith(candidate, at));
    const token = symbol ?? /^[^ \t\r\n=!(),<>]+/.exec(text.slice(at))![0];
    found.push(token);
    at += token.length;
  }
  return found;
}

const operators: Readonly<Record<string, Requirement["operator"]>> = {
  in: "In",
  notin: "NotIn",
  "=": "In",
  "==": "In",
  "!=": "NotIn",
  ">": "Gt",
  "<": "Lt",
};

/** A requirement that cannot be read; the words are completed by the parser. */
class Unreadable extends Error {}

const unexpected = (found: string, expected: string): Unreadable =>
  new Unreadable(`found '${found}', expected: ${expected}`);

class Parser {
  readonly #tokens: readonly string[];
  #at = 0;

  constructor(text: string) {
    this.#tokens = tokensOf(text);
  }

  /** "" at the end, where there is no other token of that kind. */
  get next(): string {
    return this.#tokens[this.#at] ?? "";
  }

  take(): string {
    const token = this.next;
    this.#at++;
    return token;
  }

  get isWord(): boolean {
    return this.next !== "" && !symbols.includes(this.next);
  }

  requirement(): Requirement {
    const negated = this.next === "!";
    if (negated) this.take();
    if (!this.isWord) throw unexpected(this.next, "identifier");
    const key = this.take();
    const [wrong] = labelKeyErrors(key);
    if (wrong !== undefined) throw new Unreadable(`<nil>: Invalid value: ${JSON.stringify(key)}: ${wrong}`);
    if (negated) return { key, operator: "DoesNotExist", values: [] };
    if (this.next === "" || this.next === ",") return { key, operator: "Exists", values: [] };
    const word = this.take();
    const operator = Object.hasOwn(operators, word) ? operators[word]! : undefined;
    if (operator === undefined) throw unexpected(word, "in, notin, =, ==, !=, gt, lt");
    return { key, operator, values: word === "in" || word === "notin" ? this.#set() : [this.#exact()] };
  }

  #exact(): string {
    if (this.next === "" || this.next === ",") return "";
    if (!this.isWord) throw unexpected(this.take(), "identifier");
    return this.take();
  }

  #set(): string[] {
    const open = this.take();
    if (open !== "(") throw new Unreadable(`found '${open}' expected: '('`);
    if (!this.isWord && this.next !== "," && this.next !== ")") throw unexpected(this.next, "',', ')' or identifier");
    const values: string[] = [];
    for (;;) {
      if (this.isWord) {
        values.push(this.take());
        if (this.next !== "," && this.next !== ")") throw unexpected(this.next, "',' or ')'");
      } else values.push("");
      const end = this.take();
      if (end === ")") return [...new Set(values)].sort();
      if (end !== ",") throw unexpected(end, "',', or identifier");
    }
  }
}

/** Parses the `labelSelector` parameter. Throws ApiError 400 in upstream's words. */
export function parseSelector(text: string): Selector {
  const parser = new Parser(text);
  const requirements: Requirement[] = [];
  while (parser.next !== "") {
    if (!parser.isWord && parser.next !== "!") {
      throw badRequest(unexpected(parser.next, "!, identifier, or 'end of string'").message);
    }
    requirements.push(requirementOf(parser));
    const end = parser.take();
    if (end === "") break;
    if (end !== ",") throw badRequest(unexpected(end, "',' or 'end of string'").message);
    if (!parser.isWord && parser.next !== "!") {
      throw badRequest(unexpected(parser.next, "identifier after ','").message);
    }
  }
  return requirements;
}

function requirementOf(parser: Parser): Requirement {
  try {
    const requirement = parser.requirement();
    const errors = requirementErrors(requirement).map(({ part, value, message }) => {
      // Upstream puts the key to values that are no label's, and to nothing else.
      const isLabel = part.startsWith("values[") && !message.startsWith("for 'Gt', 'Lt'");
      return `${part}${isLabel ? `[${requirement.key}]` : ""}: Invalid value: ${value}: ${message}`;
    });
    if (errors.length > 0) throw new Unreadable(errors.length === 1 ? errors[0] : `[${errors.join(", ")}]`);
    return requirement;
  } catch (error) {
    if (error instanceof Unreadable) throw badRequest(`unable to parse requirement: ${error.message}`);
    throw error;
  }
}

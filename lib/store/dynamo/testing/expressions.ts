import type { AttributeValue } from "@aws-sdk/client-dynamodb";
import type { Item } from "../client.ts";

type Values = Record<string, AttributeValue>;

/** One node of a parsed expression. */
type Node =
  | { kind: "name" | "value"; text: string }
  | { kind: "call"; text: string; args: Node[] }
  | { kind: "binary"; text: string; left: Node; right: Node }
  | { kind: "between"; it: Node; low: Node; high: Node };

const tokenPattern = /\s*(<>|<=|>=|[=<>+(),]|:[A-Za-z0-9_]+|#?[A-Za-z_][A-Za-z0-9_]*)/y;

function tokensOf(text: string): string[] {
  const tokens: string[] = [];
  tokenPattern.lastIndex = 0;
  while (tokenPattern.lastIndex < text.trimEnd().length) {
    const found = tokenPattern.exec(text);
    if (!found) throw new Error(`cannot read the expression ${text}`);
    tokens.push(found[1]!);
  }
  return tokens;
}

/** A reader of DynamoDB's condition and update expressions, as much of them as the driver uses; others are errors. */
class Parser {
  #at = 0;
  readonly #tokens: string[];
  constructor(text: string) {
    this.#tokens = tokensOf(text);
  }

  whole(): Node {
    const node = this.#or();
    if (this.#at < this.#tokens.length) throw new Error(`left over: ${this.#tokens.slice(this.#at).join(" ")}`);
    return node;
  }

  assignments(): { name: string; value: Node }[] {
    if (this.#next() !== "SET") throw new Error("only SET is understood");
    const all: { name: string; value: Node }[] = [];
    do {
      const name = this.#next();
      this.#expect("=");
      all.push({ name, value: this.#sum() });
    } while (this.#accept(","));
    return all;
  }

  #or(): Node {
    let left = this.#and();
    while (this.#accept("OR")) left = { kind: "binary", text: "OR", left, right: this.#and() };
    return left;
  }

  #and(): Node {
    let left = this.#comparison();
    while (this.#accept("AND")) left = { kind: "binary", text: "AND", left, right: this.#comparison() };
    return left;
  }

  #comparison(): Node {
    if (this.#accept("(")) {
      const inner = this.#or();
      this.#expect(")");
      return inner;
    }
    const left = this.#sum();
    if (this.#accept("BETWEEN")) {
      const low = this.#sum();
      this.#expect("AND");
      return { kind: "between", it: left, low, high: this.#sum() };
    }
    const operator = this.#tokens[this.#at];
    if (operator === undefined || !["=", "<>", "<", "<=", ">", ">="].includes(operator)) return left;
    this.#at++;
    return { kind: "binary", text: operator, left, right: this.#sum() };
  }

  #sum(): Node {
    let left = this.#operand();
    while (this.#accept("+")) left = { kind: "binary", text: "+", left, right: this.#operand() };
    return left;
  }

  #operand(): Node {
    const text = this.#next();
    if (text.startsWith(":")) return { kind: "value", text };
    if (!this.#accept("(")) return { kind: "name", text };
    const args = [this.#operand()];
    while (this.#accept(",")) args.push(this.#operand());
    this.#expect(")");
    return { kind: "call", text, args };
  }

  #next(): string {
    const token = this.#tokens[this.#at++];
    if (token === undefined) throw new Error("the expression ends too early");
    return token;
  }

  #accept(token: string): boolean {
    if (this.#tokens[this.#at] !== token) return false;
    this.#at++;
    return true;
  }

  #expect(token: string): void {
    if (!this.#accept(token)) throw new Error(`expected ${token} in ${this.#tokens.join(" ")}`);
  }
}

const conditions = new Map<string, Node>();
const updates = new Map<string, { name: string; value: Node }[]>();

/** Orders two values of one type: numbers by size, strings by their UTF-8 bytes. */
export function compareValues(a: AttributeValue, b: AttributeValue): number {
  if (a.N !== undefined && b.N !== undefined) return Number(a.N) - Number(b.N);
  if (a.S !== undefined && b.S !== undefined) return Buffer.compare(Buffer.from(a.S), Buffer.from(b.S));
  return Number.NaN;
}

function operandOf(node: Node, item: Item, values: Values): AttributeValue | undefined {
  if (node.kind === "name") return item[node.text];
  if (node.kind === "value") {
    const value = values[node.text];
    if (!value) throw new Error(`no value for ${node.text}`);
    return value;
  }
  if (node.kind === "binary" && node.text === "+") {
    const [left, right] = [operandOf(node.left, item, values), operandOf(node.right, item, values)];
    if (left?.N === undefined || right?.N === undefined) throw new Error("only numbers can be added");
    return { N: String(Number(left.N) + Number(right.N)) };
  }
  throw new Error(`${node.kind} is no value`);
}

function holds(node: Node, item: Item, values: Values): boolean {
  if (node.kind === "call") {
    const [name, prefix] = node.args;
    if (node.text === "attribute_exists") return operandOf(name!, item, values) !== undefined;
    if (node.text === "attribute_not_exists") return operandOf(name!, item, values) === undefined;
    if (node.text === "begins_with")
      return operandOf(name!, item, values)?.S?.startsWith(operandOf(prefix!, item, values)!.S!) ?? false;
    throw new Error(`${node.text} is not understood`);
  }
  if (node.kind === "between") {
    const it = operandOf(node.it, item, values);
    if (!it) return false;
    const [low, high] = [operandOf(node.low, item, values)!, operandOf(node.high, item, values)!];
    return compareValues(it, low) >= 0 && compareValues(it, high) <= 0;
  }
  if (node.kind !== "binary") throw new Error(`${node.kind} is no condition`);
  if (node.text === "AND") return holds(node.left, item, values) && holds(node.right, item, values);
  if (node.text === "OR") return holds(node.left, item, values) || holds(node.right, item, values);
  const left = operandOf(node.left, item, values);
  const right = operandOf(node.right, item, values);
  // As in DynamoDB, a comparison with a missing attribute is false.
  if (!left || !right) return false;
  const order = compareValues(left, right);
  if (node.text === "=") return order === 0;
  if (node.text === "<") return order < 0;
  if (node.text === "<=") return order <= 0;
  if (node.text === ">") return order > 0;
  if (node.text === ">=") return order >= 0;
  return order !== 0;
}

/** Whether a condition holds for an item, or for none. */
export function meets(expression: string | undefined, item: Item | undefined, values: Values = {}): boolean {
  if (expression === undefined) return true;
  let node = conditions.get(expression);
  if (!node) {
    node = new Parser(expression).whole();
    conditions.set(expression, node);
  }
  return holds(node, item ?? {}, values);
}

/** The item after a SET. */
export function updated(expression: string, key: Item, item: Item | undefined, values: Values = {}): Item {
  let assignments = updates.get(expression);
  if (!assignments) {
    assignments = new Parser(expression).assignments();
    updates.set(expression, assignments);
  }
  const before = item ?? key;
  const after = { ...before };
  for (const { name, value } of assignments) after[name] = operandOf(value, before, values)!;
  return after;
}

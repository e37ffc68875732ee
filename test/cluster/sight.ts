import type { Client } from "#client";

const longest = 1500;

/** The status of an object before its spec, which mostly is what the test has written itself. */
const statusFirst = (_key: string, value: unknown): unknown => {
  if (typeof value !== "object" || value === null || !("spec" in value && "status" in value)) return value;
  const { spec, ...rest } = value;
  return { ...rest, spec };
};

const shortened = (value: unknown): string => {
  const text = JSON.stringify(value, statusFirst) ?? String(value);
  return text.length > longest ? `${text.slice(0, longest)}… (${text.length} characters)` : text;
};

/** What a test has read from the cluster since it began a look, for the message when its condition does not hold. */
export class Sight {
  readonly #reads = new Map<string, unknown>();

  begin(): void {
    this.#reads.clear();
  }

  note<T>(what: string, value: T): T {
    this.#reads.set(what, value);
    return value;
  }

  /** `value` is what the condition came to. */
  tell(value: unknown): string {
    const reads = [...this.#reads].map(([what, read]) => `\n  ${what}: ${shortened(read)}`);
    return `last seen: ${shortened(value)}${reads.join("")}`;
  }

  /** The same client; what it reads is noted. */
  through(client: Client): Client {
    const failed = (what: string) => (error: unknown) => {
      this.note(what, String(error));
      throw error;
    };
    return {
      ...client,
      get: (kind, name) => {
        const what = `${kind.kind} ${name.namespace === undefined ? "" : `${name.namespace}/`}${name.name}`;
        return client.get(kind, name).then((object) => this.note(what, object), failed(what));
      },
      list: (kind, request) => {
        const what = `list of ${kind.kind}`;
        return client.list(kind, request).then((found) => this.note(what, found), failed(what));
      },
    };
  }
}

import type { Client } from "#client";

const longest = 1500;

/** Prints the status of an object before its spec, which the test usually wrote itself. */
const statusFirst = (_key: string, value: unknown): unknown => {
  if (typeof value !== "object" || value === null || !("spec" in value && "status" in value)) return value;
  const { spec, ...rest } = value;
  return { ...rest, spec };
};

const shortened = (value: unknown): string => {
  const text = JSON.stringify(value, statusFirst) ?? String(value);
  return text.length > longest ? `${text.slice(0, longest)}… (${text.length} characters)` : text;
};

/** The reads of a test since its last check, for the message when its condition does not hold. */
export class RecordedReads {
  readonly #byName = new Map<string, unknown>();

  begin(): void {
    this.#byName.clear();
  }

  record<T>(what: string, value: T): T {
    this.#byName.set(what, value);
    return value;
  }

  /** Describes the reads; `value` is the last result of the condition. */
  describe(value: unknown): string {
    const reads = [...this.#byName].map(([what, read]) => `\n  ${what}: ${shortened(read)}`);
    return `last seen: ${shortened(value)}${reads.join("")}`;
  }

  /** The same client; its reads are recorded. */
  through(client: Client): Client {
    const failed = (what: string) => (error: unknown) => {
      this.record(what, String(error));
      throw error;
    };
    return {
      ...client,
      get: (kind, name) => {
        const what = `${kind.kind} ${name.namespace === undefined ? "" : `${name.namespace}/`}${name.name}`;
        return client.get(kind, name).then((object) => this.record(what, object), failed(what));
      },
      list: (kind, request) => {
        const what = `list of ${kind.kind}`;
        return client.list(kind, request).then((found) => this.record(what, found), failed(what));
      },
    };
  }
}

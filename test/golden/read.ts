import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { FieldError } from "#api";

/** One case: what a client sends, and what upstream's own code (v1.36) made of it. */
export interface Row {
  name: string;
  /** The upstream function that decides it. */
  source: string;
  object: Record<string, unknown>;
  /** The stored object, for updates. */
  previous?: Record<string, unknown>;
  subresource?: string;
  /** What is wrong; absent where nothing is. */
  causes?: FieldError[];
  /** The object as it is stored, where nothing is wrong. */
  out?: Record<string, unknown>;
  /** The row of the table, by column. */
  cells?: Record<string, string | number>;
  /** The columns that only wide output shows. */
  wide?: string[];
}

export interface RowFile {
  kind: string;
  file: string;
  /** When upstream was asked, in milliseconds: ages are counted from here. */
  now: number;
  rows: Row[];
}

const folder = import.meta.dirname;

export function readRows(): RowFile[] {
  const kinds = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return kinds.flatMap(({ name: kind }) =>
    readdirSync(join(folder, kind)).map((file): RowFile => {
      const { now, rows } = JSON.parse(readFileSync(join(folder, kind, file), "utf8")) as RowFile;
      return { kind, file, now, rows };
    }),
  );
}

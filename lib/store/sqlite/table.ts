import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { type Change, type Entry, type Index, type ListOptions, type Page, rangeOf } from "#store";

/** The position of a type's log: the last revision, and the revision up to which changes may be gone. */
export interface Position {
  counter: number;
  floor: number;
}

const verbs = ["create", "update", "delete"] as const;

const columns = (table: string) => `${table}.revision, ${table}.key, ${table}.schema, ${table}."index", ${table}.body`;

type Row = readonly unknown[];

const entryOf = (row: Row, from = 0): Entry => ({
  key: row[from + 1] as string,
  revision: row[from] as number,
  body: row[from + 4] as Uint8Array,
  schema: row[from + 2] as string,
  index: JSON.parse(row[from + 3] as string) as Index,
});

const noBytes = new Uint8Array();

/** Every text sorts before any blob, so the empty blob is the bound where there is none. */
const boundsOf = (options: ListOptions): { start: string; end: SQLInputValue; limit: number } => {
  const { start, end, limit } = rangeOf(options);
  return { start, end: end ?? noBytes, limit: Number.isFinite(limit) ? limit : -1 };
};

/** Creates the type's tables where they are missing, in the caller's transaction. */
export function createTable(database: DatabaseSync, name: string): number {
  database.prepare("INSERT INTO types (name, counter, floor) VALUES (?, 1, 0) ON CONFLICT DO NOTHING").run(name);
  const id = findTable(database, name)!;
  database.exec(`
    CREATE TABLE IF NOT EXISTS changes_${id} (
      revision INTEGER PRIMARY KEY,
      verb INTEGER NOT NULL,
      key TEXT NOT NULL,
      previous INTEGER,
      schema TEXT NOT NULL,
      "index" TEXT NOT NULL,
      body BLOB NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS objects_${id} (
      key TEXT PRIMARY KEY,
      revision INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
  `);
  return id;
}

export function findTable(database: DatabaseSync, name: string): number | undefined {
  return database.prepare("SELECT id FROM types WHERE name = ?").get(name)?.["id"] as number | undefined;
}

/** The SQL of a type's tables. */
const sqlOf = (id: number) => {
  const changes = `changes_${id}`;
  const objects = `objects_${id}`;
  const state = {
    /** What has not changed since the revision, and where the others were before their first change after it. */
    earlier: `SELECT key, revision FROM ${objects} WHERE key >= ?1 AND key < ?2 AND revision <= ?3
    UNION ALL SELECT key, previous FROM (
      SELECT key, min(revision), previous FROM ${changes} WHERE revision > ?3 AND key >= ?1 AND key < ?2 GROUP BY key
    ) WHERE previous IS NOT NULL`,
    newest: `SELECT key, revision FROM ${objects} WHERE key >= ?1 AND key < ?2 AND ?3 = ?3`,
  };
  const page = (of: string) => `SELECT ${columns("c")} FROM (SELECT * FROM (${of}) ORDER BY key LIMIT ?4) s
    CROSS JOIN ${changes} c ON c.revision = s.revision ORDER BY s.key`;
  const count = (of: string) => `SELECT count(*) FROM (${of})`;
  return {
    position: `SELECT counter, floor FROM types WHERE id = ${id}`,
    setCounter: `UPDATE types SET counter = ? WHERE id = ${id}`,
    setFloor: `UPDATE types SET floor = ? WHERE id = ${id}`,
    get: `SELECT ${columns("c")} FROM ${objects} o CROSS JOIN ${changes} c ON c.revision = o.revision WHERE o.key = ?`,
    insert: `INSERT INTO ${changes} (revision, verb, key, previous, schema, "index", body) VALUES (?, ?, ?, ?, ?, ?, ?)`,
    point: `INSERT INTO ${objects} (key, revision) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET revision = excluded.revision`,
    unpoint: `DELETE FROM ${objects} WHERE key = ?`,
    changes: `SELECT c.verb, ${columns("c")}, ${columns("p")} FROM ${changes} c
    LEFT JOIN ${changes} p ON p.revision = c.previous WHERE c.revision > ? ORDER BY c.revision LIMIT ?`,
    page: { newest: page(state.newest), earlier: page(state.earlier) },
    count: { newest: count(state.newest), earlier: count(state.earlier) },
    freeReplaced: `DELETE FROM ${changes} WHERE revision IN
          (SELECT previous FROM ${changes} WHERE revision > ? AND revision <= ? AND previous IS NOT NULL)`,
    freeDeleted: `DELETE FROM ${changes} WHERE revision > ? AND revision <= ? AND verb = 2`,
  };
};

/**
 * One type in the file. `changes_<id>` is the log, a row for each revision, which also holds the bodies, so that each is
 * written once: `objects_<id>` points to the row of each object's current state. Statements are prepared on first use.
 */
export class Table {
  readonly #database: DatabaseSync;
  readonly #sql: ReturnType<typeof sqlOf>;
  readonly #prepared = new Map<string, StatementSync>();

  constructor(database: DatabaseSync, id: number) {
    this.#database = database;
    this.#sql = sqlOf(id);
  }

  #statement(sql: string): StatementSync {
    const found = this.#prepared.get(sql);
    if (found) return found;
    const statement = this.#database.prepare(sql);
    statement.setReturnArrays(true);
    this.#prepared.set(sql, statement);
    return statement;
  }

  #row(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#statement(sql).get(...values) as unknown as Row | undefined;
  }

  #rows(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#statement(sql).all(...values) as unknown as Row[];
  }

  #run(sql: string, ...values: SQLInputValue[]): void {
    this.#statement(sql).run(...values);
  }

  position(): Position {
    const [counter, floor] = this.#row(this.#sql.position) as [number, number];
    return { counter, floor };
  }

  setCounter(counter: number): void {
    this.#run(this.#sql.setCounter, counter);
  }

  get(key: string): Entry | undefined {
    const found = this.#row(this.#sql.get, key);
    return found && entryOf(found);
  }

  /** A page of the newest state, or of that at `options.at`, which must not be below the floor. */
  list(revision: number, options: ListOptions): Page {
    const { start, end, limit } = boundsOf(options);
    const state = options.at === undefined ? "newest" : "earlier";
    const entries = this.#rows(this.#sql.page[state], start, end, revision, limit).map((row) => entryOf(row));
    if (entries.length !== limit) return { revision, entries, remaining: 0, more: false };
    const [total] = this.#row(this.#sql.count[state], start, end, revision) as [number];
    const remaining = total - entries.length;
    return { revision, entries, remaining, more: remaining > 0 };
  }

  append({ revision, type, key, entry, previous }: Change): void {
    const verb = verbs.indexOf(type);
    const index = JSON.stringify(entry.index);
    this.#run(this.#sql.insert, revision, verb, key, previous?.revision ?? null, entry.schema, index, entry.body);
    if (type === "delete") this.#run(this.#sql.unpoint, key);
    else this.#run(this.#sql.point, key, revision);
  }

  changes(after: number, limit: number): Change[] {
    return this.#rows(this.#sql.changes, after, limit).map((row) => {
      const entry = entryOf(row, 1);
      const { revision, key } = entry;
      const change: Change = { revision, type: verbs[row[0] as number]!, key, entry };
      if (row[6] !== null) change.previous = entryOf(row, 6);
      return change;
    });
  }

  /**
   * Raises the floor and frees the rows that no state above it needs: those whose replacement is below the floor, and
   * those of deletes.
   */
  raiseFloor(from: number, to: number): void {
    this.#run(this.#sql.freeReplaced, from, to);
    this.#run(this.#sql.freeDeleted, from, to);
    this.#run(this.#sql.setFloor, to);
  }
}

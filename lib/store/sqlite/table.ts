import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { type Change, type Entry, type Index, type ListOptions, type Page, rangeOf } from "#store";

/** Where a type's log stands: the last revision handed out, and the revision up to which it may be gone. */
export interface Position {
  counter: number;
  floor: number;
}

/**
 * One type in the file. `changes_<id>` is the log, a row for each revision; it is also where the bodies are, so that
 * a write puts them down once: `objects_<id>` only points to the row that made each object what it is now.
 */
export interface Table {
  position(): Position;
  setCounter(counter: number): void;
  get(key: string): Entry | undefined;
  /** The newest state, or that at `at`, which must not lie below the floor. */
  list(revision: number, options: ListOptions): Page;
  append(change: Change): void;
  changes(after: number, limit: number): Change[];
  /** Raises the floor from where it is, and frees the rows that nothing above it needs. */
  raiseFloor(from: number, to: number): void;
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

/** Makes the type's tables where they are missing; inside a transaction of the caller's. */
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

/** The statements of one type; each is prepared when it is first needed. */
export function tableOf(database: DatabaseSync, id: number): Table {
  const changes = `changes_${id}`;
  const objects = `objects_${id}`;
  const prepared = new Map<string, StatementSync>();
  const statement = (sql: string): StatementSync => {
    const found = prepared.get(sql);
    if (found) return found;
    const made = database.prepare(sql);
    made.setReturnArrays(true);
    prepared.set(sql, made);
    return made;
  };
  const row = (sql: string, ...values: SQLInputValue[]) => statement(sql).get(...values) as unknown as Row | undefined;
  const rows = (sql: string, ...values: SQLInputValue[]) => statement(sql).all(...values) as unknown as Row[];
  const run = (sql: string, ...values: SQLInputValue[]) => void statement(sql).run(...values);

  const positionSql = `SELECT counter, floor FROM types WHERE id = ${id}`;
  const counterSql = `UPDATE types SET counter = ? WHERE id = ${id}`;
  const getSql = `SELECT ${columns("c")} FROM ${objects} o CROSS JOIN ${changes} c ON c.revision = o.revision WHERE o.key = ?`;
  const insertSql = `INSERT INTO ${changes} (revision, verb, key, previous, schema, "index", body) VALUES (?, ?, ?, ?, ?, ?, ?)`;
  const pointSql = `INSERT INTO ${objects} (key, revision) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET revision = excluded.revision`;
  const unpointSql = `DELETE FROM ${objects} WHERE key = ?`;
  const changesSql = `SELECT c.verb, ${columns("c")}, ${columns("p")} FROM ${changes} c
    LEFT JOIN ${changes} p ON p.revision = c.previous WHERE c.revision > ? ORDER BY c.revision LIMIT ?`;
  // The state at a revision: what has not moved since, and where the others stood before they first moved.
  const stateSql = `SELECT key, revision FROM ${objects} WHERE key >= ?1 AND key < ?2 AND revision <= ?3
    UNION ALL SELECT key, previous FROM (
      SELECT key, min(revision), previous FROM ${changes} WHERE revision > ?3 AND key >= ?1 AND key < ?2 GROUP BY key
    ) WHERE previous IS NOT NULL`;
  const nowSql = `SELECT key, revision FROM ${objects} WHERE key >= ?1 AND key < ?2 AND ?3 = ?3`;
  const pageSql = (state: string) => `SELECT ${columns("c")} FROM (SELECT * FROM (${state}) ORDER BY key LIMIT ?4) s
    CROSS JOIN ${changes} c ON c.revision = s.revision ORDER BY s.key`;

  return {
    position: () => {
      const [counter, floor] = row(positionSql) as [number, number];
      return { counter, floor };
    },
    setCounter: (counter) => run(counterSql, counter),
    get: (key) => {
      const found = row(getSql, key);
      return found && entryOf(found);
    },
    list: (revision, options) => {
      const { start, end, limit } = boundsOf(options);
      const state = options.at === undefined ? nowSql : stateSql;
      const entries = rows(pageSql(state), start, end, revision, limit).map((each) => entryOf(each));
      if (entries.length !== limit) return { revision, entries, remaining: 0, more: false };
      const [total] = row(`SELECT count(*) FROM (${state})`, start, end, revision) as [number];
      const remaining = total - entries.length;
      return { revision, entries, remaining, more: remaining > 0 };
    },
    append: ({ revision, type, key, entry, previous }) => {
      const verb = verbs.indexOf(type);
      const index = JSON.stringify(entry.index);
      run(insertSql, revision, verb, key, previous?.revision ?? null, entry.schema, index, entry.body);
      if (type === "delete") run(unpointSql, key);
      else run(pointSql, key, revision);
    },
    changes: (after, limit) =>
      rows(changesSql, after, limit).map((each) => {
        const entry = entryOf(each, 1);
        const { revision, key } = entry;
        const change: Change = { revision, type: verbs[each[0] as number]!, key, entry };
        if (each[6] !== null) change.previous = entryOf(each, 6);
        return change;
      }),
    raiseFloor: (from, to) => {
      // A row may go once the change that replaced it lies below the floor; a delete's own row as soon as it does.
      run(
        `DELETE FROM ${changes} WHERE revision IN
          (SELECT previous FROM ${changes} WHERE revision > ? AND revision <= ? AND previous IS NOT NULL)`,
        from,
        to,
      );
      run(`DELETE FROM ${changes} WHERE revision > ? AND revision <= ? AND verb = 2`, from, to);
      run(`UPDATE types SET floor = ? WHERE id = ${id}`, to);
    },
  };
}

import { closeSync, createWriteStream, openSync } from "node:fs";
import type { AuditSink } from "#apiserver";
import { type Log, messageOf } from "#base";
import { Refusal } from "./data-folder.ts";

export interface AuditLog {
  write: AuditSink;
  close(): Promise<void>;
}

/**
 * Appends a line of JSON for each event. The file is never cut here: whoever turns it over copies and truncates it.
 * Throws Refusal for a file that cannot be written; what cannot be written later is told once and lost.
 */
export function openAuditLog(path: string, log: Log): AuditLog {
  try {
    closeSync(openSync(path, "a", 0o600));
  } catch (error) {
    throw new Refusal(`the audit log ${path} cannot be written: ${messageOf(error)}`);
  }
  const stream = createWriteStream(path, { flags: "a", mode: 0o600 });
  let failed = false;
  stream.on("error", (error) => {
    if (!failed) log.error("the audit log cannot be written", { path, error });
    failed = true;
  });
  return {
    write: (event) => {
      if (!failed) stream.write(`${JSON.stringify(event)}\n`);
    },
    close: () => (failed ? Promise.resolve() : new Promise((resolve) => stream.end(() => resolve()))),
  };
}

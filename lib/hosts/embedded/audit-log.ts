import { closeSync, createWriteStream, openSync, type WriteStream } from "node:fs";
import type { AuditSink } from "#apiserver";
import { type Log, messageOf } from "#base";
import { Refusal } from "./data-folder.ts";

export interface AuditLog {
  write: AuditSink;
  close(): Promise<void>;
}

/**
 * Appends a line of JSON for each event. The file is never truncated here: log rotation must copy and truncate it.
 * Throws Refusal for a file that cannot be written; a later failure is logged once, and its lines are lost.
 */
export function openAuditLog(path: string, log: Log): AuditLog {
  try {
    closeSync(openSync(path, "a", 0o600));
  } catch (error) {
    throw new Refusal(`the audit log ${path} cannot be written: ${messageOf(error)}`);
  }
  let stream: WriteStream | undefined;
  let failed = false;
  const open = (): WriteStream => {
    const made = createWriteStream(path, { flags: "a", mode: 0o600 });
    made.on("error", (error) => {
      if (!failed) log.error("the audit log cannot be written: events are lost until it can", { path, error });
      failed = true;
      if (stream === made) stream = undefined;
    });
    return made;
  };
  stream = open();
  return {
    write: (event) => {
      stream ??= open();
      stream.write(`${JSON.stringify(event)}\n`, (error) => {
        if (!error) failed = false;
      });
    },
    close: () => new Promise((resolve) => (stream ? stream.end(() => resolve()) : resolve())),
  };
}

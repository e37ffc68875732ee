import type { PortChange } from "./model.ts";

/** Puts service ports into force on this machine. */
export interface RuleWriter {
  /** Applies changes; the first call also replaces what an earlier process left. Rejects if nothing was applied. */
  sync(changes: readonly PortChange[]): Promise<void>;
  /** The next sync writes everything again. */
  invalidate(): void;
}

import type { PortChange, ProxyPort } from "./model.ts";

/** Puts service ports into force on this machine. */
export interface RuleWriter {
  /** Applies changes; the first call also replaces what an earlier process left. Rejects if nothing was applied. */
  sync(changes: readonly PortChange[]): Promise<void>;
  /** The next sync writes everything again. */
  invalidate(): void;
  /** The ports as the rules have them, where they differ from those of the changes. */
  applied?(): Iterable<ProxyPort>;
  /** Ends what needs this process. Rules stay. */
  stop?(): void;
}

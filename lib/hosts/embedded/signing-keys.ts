import { existsSync, renameSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { newRingText, ringKeys, type SigningKeys } from "#auth/service-account";
import { systemClock } from "#base";

/**
 * The ring of keys that sign service accounts' tokens, in a folder; created if it does not exist. A key that is added
 * (`from` is the time from which it signs) is used within minutes; a key is accepted as long as it is in the ring.
 */
export function signingKeys(folder: string): SigningKeys {
  const path = join(folder, "service-accounts.json");
  if (!existsSync(path)) {
    // By rename: a crash leaves no ring, or a whole one.
    writeFileSync(`${path}.new`, newRingText(systemClock.now()), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }
  return ringKeys({ read: () => readFile(path, "utf8"), clock: systemClock, maxAge: 5 * 60_000 });
}

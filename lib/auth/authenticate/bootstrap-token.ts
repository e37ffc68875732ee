import { secrets } from "#api";
import { type Clock, ignoreNotFound, type Log, messageOf } from "#base";
import { groupsOf, isSame, parseToken, secretNameOf, tokenNamespace, usableToken } from "#bootstrap-tokens";
import type { Client } from "#client";
import type { Authenticator } from "../port.ts";

export interface BootstrapTokenOptions {
  client: Client;
  clock: Clock;
  log: Log;
}

/**
 * Authenticates bootstrap tokens as `system:bootstrap:<id>`; the reason of a refusal is logged only (upstream's
 * bootstrap TokenAuthenticator).
 */
export const bootstrapTokens =
  ({ client, clock, log }: BootstrapTokenOptions): Authenticator =>
  async ({ headers }) => {
    const token = parseToken(/^Bearer +(\S+)$/i.exec(headers["authorization"] ?? "")?.[1] ?? "");
    if (!token) return undefined;
    const name = secretNameOf(token.id);
    const secret = await ignoreNotFound(client.get(secrets, { namespace: tokenNamespace, name }));
    if (!secret) return undefined;
    try {
      const stored = usableToken(secret, "authentication", clock.now());
      if (!isSame(stored.secret, token.secret)) throw new Error("has invalid value for key token-secret");
      return { name: `system:bootstrap:${stored.id}`, groups: [...groupsOf(secret), "system:authenticated"] };
    } catch (error) {
      log.info("a bootstrap token was refused", { secret: `${tokenNamespace}/${name}`, why: messageOf(error) });
      return undefined;
    }
  };

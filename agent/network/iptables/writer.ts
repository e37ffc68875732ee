import type { PortChange, ProxyPort } from "../model.ts";
import { portKey } from "../model.ts";
import type { RuleWriter } from "../writer.ts";
import { type PortRules, type RuleOptions, rulesOf, type SharedChain } from "./rules.ts";
import { filterChains, jumps, natChains, type SharedOptions, sharedRules } from "./shared.ts";

export interface IptablesOptions extends RuleOptions, SharedOptions {
  /** Runs `iptables-restore --noflush`: each table's part is one transaction. Rejects with its error. */
  restore(input: string): Promise<void>;
  /** The output of `iptables-save` for a table. */
  save(table: Table): Promise<string>;
}

export type Table = "filter" | "nat";

/**
 * Writes service ports as rules of iptables, as upstream's proxier of that mode: each sync replaces the chains that all
 * services share, and of the ports' own chains those that changed. The first sync, and each one after a failure, also
 * adds the jumps from the kernel's chains, and deletes what an earlier process left.
 */
export class IptablesWriter implements RuleWriter {
  readonly #options: IptablesOptions;
  readonly #rules = new Map<string, PortRules>();
  #isWhole = false;

  constructor(options: IptablesOptions) {
    this.#options = options;
  }

  async sync(changes: readonly PortChange[]): Promise<void> {
    const changed = new Map<string, readonly string[] | undefined>();
    for (const change of changes) this.#apply(change, changed);
    if (this.#isWhole && changes.length === 0) return;
    const isWhole = this.#isWhole;
    this.#isWhole = false;
    await this.#options.restore(isWhole ? this.#tables(changed, { filter: [], nat: [] }) : await this.#whole());
    this.#isWhole = true;
  }

  invalidate(): void {
    this.#isWhole = false;
  }

  /** Notes the chains of one port that differ; undefined: no longer used. */
  #apply({ before, after }: PortChange, changed: Map<string, readonly string[] | undefined>): void {
    const key = portKey((after ?? before) as ProxyPort);
    const earlier = this.#rules.get(key);
    const later = after && rulesOf(after, this.#options);
    for (const chain of earlier?.chains.keys() ?? []) if (!later?.chains.has(chain)) changed.set(chain, undefined);
    for (const [chain, rules] of later?.chains ?? []) {
      if (earlier?.chains.get(chain)?.join("\n") !== rules.join("\n")) changed.set(chain, rules);
    }
    if (later) this.#rules.set(key, later);
    else this.#rules.delete(key);
  }

  async #whole(): Promise<string> {
    const { prefix, save } = this.#options;
    const [filter, nat] = await Promise.all([save("filter"), save("nat")]);
    const chains = new Map<string, readonly string[] | undefined>();
    for (const chain of chainsOf(nat, prefix)) if (isOfPort(chain, prefix)) chains.set(chain, undefined);
    for (const rules of this.#rules.values()) for (const [chain, lines] of rules.chains) chains.set(chain, lines);
    const missing = (table: Table, saved: string): string[] =>
      jumps(prefix)
        [table].filter(({ source, to }) => !new RegExp(`^-A ${source} .*-j ${to}$`, "m").test(saved))
        .map(({ rule }) => rule);
    return this.#tables(chains, { filter: missing("filter", filter), nat: missing("nat", nat) });
  }

  /** The input of iptables-restore: all shared chains, and these chains of ports. */
  #tables(chains: ReadonlyMap<string, readonly string[] | undefined>, added: Record<Table, readonly string[]>): string {
    const { prefix } = this.#options;
    const declared = (chain: string): string => `:${chain} - [0:0]`;
    const shared = this.#sharedRules();
    const own = [...chains].flatMap(([chain, rules]) => (rules ?? []).map((rule) => `-A ${chain} ${rule}`));
    const gone = [...chains].flatMap(([chain, rules]) => (rules ? [] : [`-X ${chain}`]));
    return [
      "*filter",
      ...filterChains.map((chain) => declared(`${prefix}-${chain}`)),
      ...added.filter,
      ...shared.filter,
      "COMMIT",
      "*nat",
      ...natChains.map((chain) => declared(`${prefix}-${chain}`)),
      ...[...chains.keys()].map(declared),
      ...added.nat,
      ...shared.nat,
      ...own,
      ...gone,
      "COMMIT",
      "",
    ].join("\n");
  }

  /** Rules of the shared chains, with those of all ports between the first and the last ones. */
  #sharedRules(): Record<Table, string[]> {
    const { prefix } = this.#options;
    const fixed = sharedRules(this.#options);
    // Two services may want the same address: the first name has it.
    const ports = [...this.#rules].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, rules]) => rules);
    const lines = (rules: Iterable<readonly [SharedChain, string]>): string[] =>
      [...rules].map(([chain, rule]) => `-A ${prefix}-${chain} ${rule}`);
    const of = (table: Table): string[] => [
      ...lines(fixed[table].first),
      ...ports.flatMap((rules) => lines(rules[table])),
      ...lines(fixed[table].last),
    ];
    return { filter: of("filter"), nat: of("nat") };
  }
}

/** Names of a table's chains that begin with a prefix (a pattern), from the output of iptables-save. */
export const chainsOf = (saved: string, prefix: string): string[] =>
  [...saved.matchAll(new RegExp(`^:(${prefix}-\\S+) `, "gm"))].map(([, chain = ""]) => chain);

const isOfPort = (chain: string, prefix: string): boolean =>
  /^(?:SVC|SVL|EXT|FW|SEP)-/.test(chain.slice(prefix.length + 1));

/** The input of iptables-restore that deletes a table's rules of a prefix; undefined: there are none. */
export function removal(table: Table, saved: string, prefix: string): string | undefined {
  const chains = chainsOf(saved, prefix);
  if (chains.length === 0) return undefined;
  const jumping = saved
    .split("\n")
    .filter((line) => line.startsWith("-A ") && !line.startsWith(`-A ${prefix}-`) && line.includes(` -j ${prefix}-`));
  return [
    `*${table}`,
    ...chains.map((chain) => `:${chain} - [0:0]`),
    ...jumping.map((line) => line.replace("-A ", "-D ")),
    ...chains.map((chain) => `-X ${chain}`),
    "COMMIT",
    "",
  ].join("\n");
}

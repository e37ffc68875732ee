import type { PortChange, ProxyPort } from "../model.ts";
import { portKey } from "../model.ts";
import type { RuleWriter } from "../writer.ts";
import { type Element, type RuleOptions, type Rules, rulesOf } from "./rules.ts";
import { type ContainerName, type TableOptions, tableSetup } from "./setup.ts";

/** A chain may not be deleted until the kernel has released the element that pointed to it (before Linux 6.2). */
const staleMilliseconds = 1000;

export interface NftablesOptions extends TableOptions, RuleOptions {
  /** Runs commands as one transaction; rejects with the kernel's or nft's error. */
  run(commands: string): Promise<void>;
  now(): number;
  /** The table's sets as `nft -j list sets` prints them; undefined: they cannot be read, and clients lose their affinity. */
  listSets(): Promise<string | undefined>;
}

/** An element as several ports may want it: the one with the smallest name counts. */
type Claims = Map<string, string | undefined>;

/**
 * Writes service ports into an nftables table, each sync as one transaction. The first sync, and each one after a
 * failure, replaces the whole table; the others contain only what changed.
 */
export class NftablesWriter implements RuleWriter {
  readonly #options: NftablesOptions;
  readonly #name: string;
  readonly #rules = new Map<string, Rules>();
  /** By container, then by the element's key. */
  readonly #claims = new Map<ContainerName, Map<string, Claims>>();
  /** Deleted chains that are empty, and since when. */
  readonly #stale = new Map<string, number>();
  #isWhole = false;

  constructor(options: NftablesOptions) {
    this.#options = options;
    this.#name = `${options.family === "IPv4" ? "ip" : "ip6"} ${options.table}`;
  }

  /** Applies changes. Rejects if the transaction fails: the next sync then writes everything again. */
  async sync(changes: readonly PortChange[]): Promise<void> {
    const delta = new Delta();
    for (const change of changes) this.#apply(change, delta);
    const commands = this.#isWhole ? this.#partial(delta) : await this.#whole();
    if (commands.length === 0) return;
    this.#isWhole = false;
    await this.#options.run(`${commands.join("\n")}\n`);
    this.#isWhole = true;
  }

  invalidate(): void {
    this.#isWhole = false;
  }

  #apply({ before, after }: PortChange, delta: Delta): void {
    const key = portKey((after ?? before) as ProxyPort);
    const earlier = this.#rules.get(key);
    const later = after && rulesOf(after, this.#options);
    for (const element of earlier?.elements ?? []) this.#claim(key, element, false, delta);
    for (const element of later?.elements ?? []) this.#claim(key, element, true, delta);
    delta.compare(earlier, later);
    if (later) this.#rules.set(key, later);
    else this.#rules.delete(key);
  }

  /** Notes or withdraws that a port wants an element; `delta` receives what the kernel had before. */
  #claim(owner: string, { container, key, value }: Element, isWanted: boolean, delta: Delta): void {
    const elements = this.#claims.get(container) ?? new Map<string, Claims>();
    this.#claims.set(container, elements);
    const claims = elements.get(key) ?? new Map<string, string | undefined>();
    delta.touch(container, key, effective(claims));
    if (isWanted) claims.set(owner, value);
    else claims.delete(owner);
    if (claims.size > 0) elements.set(key, claims);
    else elements.delete(key);
  }

  /** Everything, after what an earlier process or a failed transaction left has been deleted. */
  async #whole(): Promise<string[]> {
    this.#stale.clear();
    const all = [...this.#rules.values()];
    const clients = await this.#clients(all);
    const sets = all.flatMap((rules) => [...rules.sets].map((entry) => this.#addSet(entry)));
    const chains = all.flatMap((rules) => [...rules.chains.keys()].map((chain) => `add chain ${this.#name} ${chain}`));
    const rules = all.flatMap((rules) => [...rules.chains].flatMap((entry) => this.#addRules(entry)));
    const elements = [...this.#claims].flatMap(([container, keys]) =>
      this.#elements(
        "add",
        container,
        [...keys].map(([key, claims]) => textOf(key, effective(claims)!.value)),
      ),
    );
    return [...tableSetup(this.#options), ...sets, ...clients, ...chains, ...rules, ...elements];
  }

  /** Commands that keep the clients with affinity, which an earlier process or this one noted. */
  async #clients(all: readonly Rules[]): Promise<string[]> {
    const sets = new Set(all.flatMap((rules) => [...rules.sets.keys()]));
    if (sets.size === 0) return [];
    const listed = clientsOf(await this.#options.listSets(), this.#options.table);
    return [...listed].flatMap(([set, clients]) =>
      sets.has(set) ? [`add element ${this.#name} ${set} { ${clients.join(", ")} }`] : [],
    );
  }

  #partial(delta: Delta): string[] {
    const deletable = this.#takeStale(delta);
    const { chains, sets } = delta;
    const added = [...chains].flatMap(([chain, rules]) => (rules ? [`add chain ${this.#name} ${chain}`] : []));
    const rules = [...chains].flatMap(([chain, lines]) => [
      `flush chain ${this.#name} ${chain}`,
      ...(lines ? this.#addRules([chain, lines]) : []),
    ]);
    const newSets = [...sets].flatMap(([set, definition]) => (definition ? [this.#addSet([set, definition])] : []));
    const oldSets = [...sets].flatMap(([set, definition]) => (definition ? [] : [`delete set ${this.#name} ${set}`]));
    return [...deletable, ...newSets, ...added, ...rules, ...this.#changedElements(delta), ...oldSets];
  }

  /** Chains to delete now; those that become unused are emptied and noted. */
  #takeStale({ chains }: Delta): string[] {
    const now = this.#options.now();
    const deletable: string[] = [];
    for (const [chain, since] of this.#stale) {
      if (chains.get(chain)) this.#stale.delete(chain);
      else if (now - since >= staleMilliseconds) {
        this.#stale.delete(chain);
        deletable.push(`delete chain ${this.#name} ${chain}`);
      }
    }
    for (const [chain, rules] of chains) if (!rules) this.#stale.set(chain, now);
    return deletable;
  }

  #changedElements({ touched }: Delta): string[] {
    const commands: string[] = [];
    const added: string[] = [];
    for (const [container, keys] of touched) {
      const [gone, come]: [string[], string[]] = [[], []];
      for (const [key, before] of keys) {
        const after = effective(this.#claims.get(container)?.get(key));
        if (before && after && before.value === after.value) continue;
        if (before) gone.push(key);
        if (after) come.push(textOf(key, after.value));
      }
      commands.push(...this.#elements("delete", container, gone));
      added.push(...this.#elements("add", container, come));
    }
    return [...commands, ...added];
  }

  #elements(verb: "add" | "delete", container: ContainerName, elements: readonly string[]): string[] {
    return elements.length === 0 ? [] : [`${verb} element ${this.#name} ${container} { ${elements.join(", ")} }`];
  }

  #addSet([set, definition]: readonly [string, string]): string {
    return `add set ${this.#name} ${set} ${definition}`;
  }

  #addRules([chain, rules]: readonly [string, readonly string[]]): string[] {
    return rules.map((rule) => `add rule ${this.#name} ${chain} ${rule}`);
  }
}

/** Elements of sets of clients, with the time that is left, by the set's name. */
export function clientsOf(json: string | undefined, table: string): Map<string, string[]> {
  const { nftables = [] } = JSON.parse(json || "{}") as { nftables?: ListedItem[] };
  const found = new Map<string, string[]>();
  for (const { set } of nftables) {
    if (set?.table !== table || !set.name.startsWith("affinity-")) continue;
    const clients = (set.elem ?? []).flatMap((item) => {
      const { val, expires = 0 } = (typeof item === "string" ? undefined : item.elem) ?? {};
      return typeof val === "string" && expires > 0 ? [`${val} expires ${expires}s`] : [];
    });
    if (clients.length > 0) found.set(set.name, clients);
  }
  return found;
}

interface ListedItem {
  set?: { table: string; name: string; elem?: (string | { elem?: { val?: unknown; expires?: number } })[] };
}

const textOf = (key: string, value: string | undefined): string => (value === undefined ? key : `${key} : ${value}`);

/** The element that the kernel has: that of the port with the smallest name. Undefined: no port wants it. */
function effective(claims: Claims | undefined): { value: string | undefined } | undefined {
  let first: string | undefined;
  for (const owner of claims?.keys() ?? []) if (first === undefined || owner < first) first = owner;
  return first === undefined ? undefined : { value: claims!.get(first) };
}

/** What one sync changes. */
class Delta {
  /** Elements that may have changed, with the state before. */
  readonly touched = new Map<ContainerName, Map<string, { value: string | undefined } | undefined>>();
  /** Chains that change, with their new rules; undefined: no longer used. */
  readonly chains = new Map<string, readonly string[] | undefined>();
  readonly sets = new Map<string, string | undefined>();

  touch(container: ContainerName, key: string, before: { value: string | undefined } | undefined): void {
    const keys = this.touched.get(container) ?? new Map();
    this.touched.set(container, keys);
    if (!keys.has(key)) keys.set(key, before);
  }

  /** Notes the chains and sets of one port that differ. */
  compare(earlier: Rules | undefined, later: Rules | undefined): void {
    for (const chain of earlier?.chains.keys() ?? []) if (!later?.chains.has(chain)) this.chains.set(chain, undefined);
    for (const [chain, rules] of later?.chains ?? []) {
      if (earlier?.chains.get(chain)?.join("\n") !== rules.join("\n")) this.chains.set(chain, rules);
    }
    for (const set of earlier?.sets.keys() ?? []) if (!later?.sets.has(set)) this.sets.set(set, undefined);
    for (const [set, definition] of later?.sets ?? []) {
      const before = earlier?.sets.get(set);
      if (before !== definition) this.sets.set(set, definition);
    }
  }
}

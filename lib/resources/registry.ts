import {
  allVerbs,
  apiVersionOf,
  type GroupVersionKind,
  type Kind,
  type Subresource,
  storageOf,
  type Verb,
} from "#api/meta";

/** A kind with the place where its objects are stored. */
export interface Resource {
  kind: Kind;
  /** Storage type. */
  type: string;
  /** The kind in whose form the objects are stored. */
  storageKind: Kind;
}

/** What was added to and removed from the registry at once. */
export interface RegistryChange {
  added: readonly Resource[];
  removed: readonly Resource[];
}

/** Everything that is derived from the registered kinds, by the keys of lookups. */
interface Tables {
  resources: readonly Resource[];
  byPath: ReadonlyMap<string, Resource>;
  byKind: ReadonlyMap<string, Resource>;
  byStorage: ReadonlyMap<string, Resource>;
  byDefinition: ReadonlyMap<Kind, Resource>;
  servedGroups: ReadonlySet<string>;
  groups: readonly { group: string; versions: string[] }[];
}

/**
 * The kinds that the server knows. Kinds can be added and removed while it runs: lookups follow at once, and
 * listeners of `onChange` are called synchronously.
 */
export class Registry {
  #tables: Tables;
  readonly #listeners = new Set<(change: RegistryChange) => void>();
  #revision = 0;

  /** Throws where two kinds have the same path, or a kind is stored in a type that no kind owns. */
  constructor(kinds: readonly Kind[]) {
    this.#tables = tablesOf(kinds);
  }

  /** Every registered kind, in the order in which they were added. */
  get resources(): readonly Resource[] {
    return this.#tables.resources;
  }

  get kinds(): Kind[] {
    return this.#tables.resources.map(({ kind }) => kind);
  }

  /** The storage types of kinds whose objects are stored, each once. */
  get types(): string[] {
    const stored = this.#tables.resources.filter(({ kind }) => !kind.answer && !kind.compute);
    return [...new Set(stored.map(({ type }) => type))];
  }

  /** Rises with every change: what is derived from the kinds can be cached by it. */
  get revision(): number {
    return this.#revision;
  }

  /** By group, version and plural name. */
  find(group: string, version: string, plural: string): Resource | undefined {
    return this.#tables.byPath.get(`${group}/${version}/${plural}`);
  }

  /** By group, version and kind. */
  ofKind({ group, version, kind }: GroupVersionKind): Resource | undefined {
    return this.#tables.byKind.get(`${group}/${version}/${kind}`);
  }

  /** By the definition itself. Throws where it is not registered. */
  of(kind: Kind): Resource {
    const resource = this.#tables.byDefinition.get(kind);
    if (!resource) throw new Error(`the server does not know ${kind.kind}`);
    return resource;
  }

  /** The kind that owns a storage type. */
  ofStorage(type: string): Resource | undefined {
    return this.#tables.byStorage.get(type);
  }

  has({ kind }: Resource): boolean {
    return this.#tables.byDefinition.has(kind);
  }

  /** Whether a group has kinds that clients can reach. */
  serves(group: string): boolean {
    return this.#tables.servedGroups.has(group);
  }

  /** Groups with their versions, in the order in which kinds were added. */
  groups(): readonly { group: string; versions: string[] }[] {
    return this.#tables.groups;
  }

  /** Adds kinds. Throws, and adds none, where one clashes with a registered kind. */
  add(...kinds: Kind[]): void {
    this.#change([...this.kinds, ...kinds]);
  }

  /** Removes kinds; those that are not registered are ignored. Their watches end, and their objects stay in the store. */
  remove(...kinds: Kind[]): void {
    this.#change(this.kinds.filter((kind) => !kinds.includes(kind)));
  }

  /** Calls `listener` after every change. Returns the function that ends this. */
  onChange(listener: (change: RegistryChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #change(kinds: readonly Kind[]): void {
    const before = this.#tables;
    const after = tablesOf(kinds, before.byDefinition);
    const added = after.resources.filter(({ kind }) => !before.byDefinition.has(kind));
    const removed = before.resources.filter(({ kind }) => !after.byDefinition.has(kind));
    if (added.length === 0 && removed.length === 0) return;
    this.#tables = after;
    this.#revision++;
    for (const listener of [...this.#listeners]) listener({ added, removed });
  }
}

/** `known` has the resources of kinds that remain registered: they keep their identity. */
function tablesOf(kinds: readonly Kind[], known: ReadonlyMap<Kind, Resource> = new Map()): Tables {
  const byStorage = new Map<string, Resource>();
  for (const kind of kinds) {
    if (kind.stored) continue;
    const type = storageOf(kind);
    byStorage.set(type, known.get(kind) ?? { kind, type, storageKind: kind });
  }
  const resources = kinds.map((kind) => {
    const type = storageOf(kind);
    const home = byStorage.get(type);
    if (!home) throw new Error(`${kind.kind} is stored in ${type}, which no kind of the registry owns`);
    return kind.stored ? (known.get(kind) ?? { kind, type, storageKind: home.kind }) : home;
  });
  const byPath = new Map<string, Resource>();
  const groups = new Map<string, Set<string>>();
  for (const resource of resources) {
    const { kind } = resource;
    const path = `${kind.group}/${kind.version}/${kind.plural}`;
    if (byPath.has(path)) throw new Error(`${apiVersionOf(kind)} ${kind.plural} is registered already`);
    byPath.set(path, resource);
    if (!kind.internal) groups.set(kind.group, (groups.get(kind.group) ?? new Set()).add(kind.version));
  }
  return {
    resources,
    byPath,
    byKind: new Map(resources.map((one) => [`${one.kind.group}/${one.kind.version}/${one.kind.kind}`, one])),
    byStorage,
    byDefinition: new Map(resources.map((one) => [one.kind, one])),
    servedGroups: new Set(resources.filter(({ kind }) => isServed(kind)).map(({ kind }) => kind.group)),
    groups: [...groups].map(([group, versions]) => ({ group, versions: [...versions] })),
  };
}

export const verbsOf = (kind: Kind): readonly Verb[] => kind.verbs ?? allVerbs;

/** Whether clients can reach a kind, and discovery lists it. */
export const isServed = (kind: Kind): boolean => !kind.internal && verbsOf(kind).length > 0;

/** The verbs that a subresource accepts, as discovery lists them. */
export function subresourceVerbs(subresource: Subresource<never>): Verb[] {
  if (subresource.type === "command" || subresource.type === "review") return ["create"];
  if (subresource.type === "partialUpdate") return subresource.verbs ? [...subresource.verbs] : ["update"];
  if (subresource.type === "proxy") return ["create", "delete", "get", "patch", "update"];
  if (subresource.type === "connect") return subresource.verbs.includes("post") ? ["create", "get"] : ["get"];
  return ["get", "patch", "update"];
}

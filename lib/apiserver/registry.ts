import { allVerbs, type GroupVersionKind, type Kind, type Subresource, storageOf, type Verb } from "#api/meta";

/** A kind in its place: where it is reached and where it is kept. */
export interface Resource {
  kind: Kind;
  /** Storage type. */
  type: string;
  /** The kind in whose form the storage keeps objects. */
  storageKind: Kind;
}

/** All kinds that the server knows, by the ways in which they are asked for. */
export interface Registry {
  resources: readonly Resource[];
  /** By group, version and plural name. */
  find(group: string, version: string, plural: string): Resource | undefined;
  /** By group, version and kind. */
  ofKind(type: GroupVersionKind): Resource | undefined;
  /** Of a definition itself; throws when the server does not know it. */
  of(kind: Kind): Resource;
  /** The kind that keeps a storage type. */
  ofStorage(type: string): Resource | undefined;
  /** Whether a group has kinds that clients reach. */
  serves(group: string): boolean;
  groups(): { group: string; versions: string[] }[];
}

export function createRegistry(kinds: readonly Kind[]): Registry {
  const byPath = new Map<string, Resource>();
  const byKind = new Map<string, Resource>();
  const byStorage = new Map<string, Resource>();
  const definitions = new Map<Kind, Resource>();
  const resources: Resource[] = [];
  for (const kind of kinds)
    if (!kind.stored) byStorage.set(storageOf(kind), { kind, type: storageOf(kind), storageKind: kind });
  for (const kind of kinds) {
    const type = storageOf(kind);
    const home = byStorage.get(type);
    if (!home) throw new Error(`${kind.kind} is kept in ${type}, which no kind of the catalog keeps`);
    const resource = kind.stored ? { kind, type, storageKind: home.kind } : home;
    resources.push(resource);
    byPath.set(`${kind.group}/${kind.version}/${kind.plural}`, resource);
    byKind.set(`${kind.group}/${kind.version}/${kind.kind}`, resource);
    definitions.set(kind, resource);
  }
  const isReached = ({ kind }: Resource) => !kind.internal && verbsOf(kind).length > 0;
  const reached = new Set(resources.filter(isReached).map(({ kind }) => kind.group));
  return {
    resources,
    serves: (group) => reached.has(group),
    find: (group, version, plural) => byPath.get(`${group}/${version}/${plural}`),
    ofKind: ({ group, version, kind }) => byKind.get(`${group}/${version}/${kind}`),
    of(kind) {
      const resource = definitions.get(kind);
      if (!resource) throw new Error(`the server does not know ${kind.kind}`);
      return resource;
    },
    ofStorage: (type) => byStorage.get(type),
    groups() {
      const groups = new Map<string, Set<string>>();
      for (const { kind } of resources) {
        if (kind.internal) continue;
        const versions = groups.get(kind.group) ?? new Set();
        groups.set(kind.group, versions.add(kind.version));
      }
      return [...groups].map(([group, versions]) => ({ group, versions: [...versions] }));
    },
  };
}

export const verbsOf = (kind: Kind): readonly Verb[] => kind.verbs ?? allVerbs;

/** The verbs that a subresource takes, as discovery lists them. */
export function subresourceVerbs(subresource: Subresource<never>): Verb[] {
  if (subresource.type === "action" || subresource.type === "question") return ["create"];
  if (subresource.type === "part") return subresource.verbs ? [...subresource.verbs] : ["update"];
  if (subresource.type === "connect") return subresource.verbs.includes("post") ? ["create", "get"] : ["get"];
  return ["get", "patch", "update"];
}

import type { RoleRef, Subject } from "#api";
import type { KubernetesObject } from "#api/meta";
import type { User } from "../../port.ts";

/** A binding for one of its subjects. */
export interface Bound {
  role: RoleRef;
  /** In upstream's words: `RoleBinding "a/n" of Role "r" to User "jane"`. */
  describe(): string;
}

/** Bindings by namespace ("" for cluster-wide ones) and by subject. */
export type Bindings = ReadonlyMap<string, ReadonlyMap<string, readonly Bound[]>>;

interface Binding extends KubernetesObject {
  subjects?: Subject[] | undefined;
  roleRef: RoleRef;
}

const userKey = (name: string): string => `u:${name}`;
const groupKey = (name: string): string => `g:${name}`;

/** The key of a subject; undefined for a subject that matches no user. */
function keyOf({ kind, name, namespace }: Subject, home: string): string | undefined {
  if (kind === "User") return userKey(name);
  if (kind === "Group") return groupKey(name);
  if (kind !== "ServiceAccount") return undefined;
  const place = namespace || home;
  return place === "" ? undefined : userKey(`system:serviceaccount:${place}:${name}`);
}

/** Groups bindings of one kind by their subjects. `kind` is used in descriptions. */
export const indexBindings =
  (kind: string) =>
  (bindings: readonly Binding[]): Bindings => {
    const index = new Map<string, Map<string, Bound[]>>();
    for (const binding of bindings) {
      const home = binding.metadata.namespace ?? "";
      const here = index.get(home) ?? new Map<string, Bound[]>();
      index.set(home, here);
      const seen = new Set<string>();
      for (const subject of binding.subjects ?? []) {
        const key = keyOf(subject, home);
        if (key === undefined || seen.has(key)) continue;
        seen.add(key);
        const bound = { role: binding.roleRef, describe: () => describe(kind, binding, subject) };
        here.set(key, [...(here.get(key) ?? []), bound]);
      }
    }
    return index;
  };

function describe(kind: string, { metadata, roleRef }: Binding, subject: Subject): string {
  const home = metadata.namespace ?? "";
  const name = home === "" ? metadata.name : `${metadata.name}/${home}`;
  const who = subject.kind === "ServiceAccount" ? `${subject.name}/${subject.namespace || home}` : subject.name;
  const quote = JSON.stringify;
  return `${kind} ${quote(name)} of ${roleRef.kind} ${quote(roleRef.name)} to ${subject.kind} ${quote(who)}`;
}

/** The bindings of a user in one namespace. */
export function* concerning(bindings: Bindings, namespace: string, { name, groups }: User): Generator<Bound> {
  const here = bindings.get(namespace);
  if (!here) return;
  yield* here.get(userKey(name)) ?? [];
  for (const group of groups) yield* here.get(groupKey(group)) ?? [];
}

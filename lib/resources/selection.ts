import { type FieldTerm, type Kind, matches, type Selector } from "#api/meta";
import { badRequest } from "#base";
import type { Change, Entry, Index } from "#store";

/** Which objects of a type are selected. */
export interface Selection {
  /** Key prefix: one namespace, or everything. */
  prefix: string;
  /** One object by its key, where the field selector names it. */
  key?: string;
  /** Whether everything under the prefix is selected. */
  everything: boolean;
  matches(key: string, index: Index): boolean;
}

const nameField = "metadata.name";
const namespaceField = "metadata.namespace";

/** Selects objects by labels and fields. Throws ApiError 400 for a field that is not selectable. */
export function selection(kind: Kind, namespace: string, labels: Selector, terms: readonly FieldTerm[]): Selection {
  const fields = terms.map((term) => ({ ...term, field: canonical(kind, term.field) }));
  const exact = (name: string) => fields.find(({ field, equal }) => field === name && equal)?.value;
  const name = exact(nameField);
  const home = namespace !== "" ? namespace : exact(namespaceField);
  const everything = labels.length === 0 && fields.length === 0;
  const selected: Selection = {
    prefix: home === undefined || kind.scope === "Cluster" ? "" : `${home}/`,
    everything,
    matches: everything
      ? () => true
      : (key, index) => matches(labels, index.labels) && fields.every((term) => fieldHolds(term, key, index)),
  };
  if (name !== undefined && (kind.scope === "Cluster" || home !== undefined)) {
    selected.key = kind.scope === "Cluster" ? `/${name}` : `${home}/${name}`;
  }
  return selected;
}

function canonical(kind: Kind, field: string): string {
  const alias = kind.fieldAliases?.[field];
  // A kind that is stored in the form of another has its own names for the other's fields.
  if (kind.stored && alias === undefined && field !== nameField && field !== namespaceField) {
    throw badRequest(`field label not supported: ${field}`);
  }
  const name = alias ?? field;
  if (name === nameField || (name === namespaceField && kind.scope === "Namespaced")) return name;
  if (kind.fields && Object.hasOwn(kind.fields, name)) return name;
  // Upstream's words differ between kinds that know labels of their own and others.
  if (kind.fields || kind.fieldAliases) throw badRequest(`field label not supported: ${field}`);
  throw badRequest(
    `${JSON.stringify(field)} is not a known field selector: only "metadata.name", "metadata.namespace"`,
  );
}

function fieldHolds({ field, equal, value }: FieldTerm, key: string, index: Index): boolean {
  const slash = key.indexOf("/");
  let there: string;
  if (field === nameField) there = key.slice(slash + 1);
  else if (field === namespaceField) there = key.slice(0, slash);
  else there = index.fields?.[field] ?? "";
  return (there === value) === equal;
}

/** A change as a watch with a selection sees it: objects enter and leave the selection. */
export type SelectedEvent = { type: "ADDED" | "MODIFIED" | "DELETED"; entry: Entry };

/** Undefined: the change is outside the selection. A leaving object is shown as it was, at the change's revision. */
export function selectedEvent(selection: Selection, change: Change): SelectedEvent | undefined {
  const { key } = change;
  if (selection.key !== undefined ? key !== selection.key : !key.startsWith(selection.prefix)) return undefined;
  if (selection.everything) return { type: eventTypes[change.type], entry: change.entry };
  const before = change.previous !== undefined && selection.matches(key, change.previous.index);
  const after = change.type !== "delete" && selection.matches(key, change.entry.index);
  if (after) return { type: before ? "MODIFIED" : "ADDED", entry: change.entry };
  if (!before) return undefined;
  return { type: "DELETED", entry: change.type === "delete" ? change.entry : change.previous! };
}

export const eventTypes = { create: "ADDED", update: "MODIFIED", delete: "DELETED" } as const;

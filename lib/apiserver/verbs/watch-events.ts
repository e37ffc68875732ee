import { apiVersionOf, type KubernetesObject, type MessageShape, messageShapeOf } from "#api/meta";
import { StatusAnswer } from "#api/meta-v1";
import { type JsonObject, stringifyJson } from "#base";
import { atRevision, bytesAs, objectAs, prefixOf, type SelectedEvent, typed } from "#resources";
import type { Entry } from "#store";
import { columnDefinitions, type Format, type IncludeObject, partialMetadata, protobuf, table, tableRow } from "#wire";
import { shapeOfAnswer } from "../answer.ts";
import type { RequestScope } from "../server.ts";

const initialEventsEnd = "k8s.io/initial-events-end";
const newline = Buffer.from("}\n");

/** How one watcher's events are written. */
export interface EventEncoder {
  event(event: SelectedEvent, revision: number): Uint8Array;
  bookmark(revision: number, initial: boolean): Uint8Array;
  error(status: object): Uint8Array;
}

/** Events of the plain form, made once for all watchers: by entry and type. */
const shared = new WeakMap<Entry, Partial<Record<SelectedEvent["type"], Uint8Array>>>();

const metadataOf = (revision: number, initial: boolean) => ({
  resourceVersion: String(revision),
  ...(initial ? { annotations: { [initialEventsEnd]: "true" } } : {}),
});

const writeError = (status: object): Uint8Array => line("ERROR", status);

/** Frames of protobuf, for clients that accept nothing else. */
export async function protobufEncoder({ resources, resource }: RequestScope, format: Format): Promise<EventEncoder> {
  const { encodeWatchEvent } = await protobuf();
  const { kind } = resource;
  const shape = shapeOfAnswer(kind, format, false);
  const version = format.version ?? "v1";
  const shown = (object: KubernetesObject): KubernetesObject =>
    format.as ? (partialMetadata(object, version) as KubernetesObject) : typed(kind, object);
  const write = (event: string, object: KubernetesObject, of: MessageShape) => {
    const type = { apiVersion: object.apiVersion ?? "", kind: object.kind ?? "" };
    return encodeWatchEvent(event, type, of, object as unknown as JsonObject);
  };
  return {
    event({ type, entry }, revision) {
      const object = objectAs(resources, resource, entry);
      const metadata = { ...object.metadata, resourceVersion: String(revision) };
      return write(type, shown({ ...object, metadata }), shape);
    },
    bookmark: (revision, initial) => write("BOOKMARK", shown({ metadata: metadataOf(revision, initial) }), shape),
    error: (status) => write("ERROR", status as KubernetesObject, messageShapeOf(StatusAnswer)),
  };
}

/** Lines of JSON. */
export function encoderOf(call: RequestScope, format: Format, include: IncludeObject): EventEncoder {
  const { resources, resource } = call;
  const { kind } = resource;
  if (!format.as) {
    const prefix = (type: string) => Buffer.concat([Buffer.from(`{"type":"${type}","object":`), prefixOf(kind)]);
    const prefixes = { ADDED: prefix("ADDED"), MODIFIED: prefix("MODIFIED"), DELETED: prefix("DELETED") };
    const encode = ({ type, entry }: SelectedEvent, revision: number) => {
      const body = bytesAs(resources, resource, entry);
      const at = entry.revision === revision ? body : atRevision(body, revision);
      return Buffer.concat([prefixes[type], at.subarray(1), newline]);
    };
    return {
      event(event, revision) {
        if (kind.stored || event.entry.revision !== revision) return encode(event, revision);
        const known = shared.get(event.entry) ?? {};
        shared.set(event.entry, known);
        known[event.type] ??= encode(event, revision);
        return known[event.type]!;
      },
      bookmark: (revision, initial) =>
        line("BOOKMARK", { kind: kind.kind, apiVersion: apiVersionOf(kind), metadata: metadataOf(revision, initial) }),
      error: writeError,
    };
  }
  const version = format.version ?? "v1";
  let columns: ReturnType<typeof columnDefinitions> | undefined = columnDefinitions(kind);
  const shown = (object: KubernetesObject, bookmark = false): object => {
    if (format.as === "PartialObjectMetadata") return partialMetadata(object, version);
    // A bookmark has metadata and nothing that columns could read.
    const row = bookmark
      ? { cells: columnDefinitions(kind).map(() => ""), object: partialMetadata(object, version) }
      : tableRow(kind, object, include, resources.clock.now(), version, resources.faults.ofColumn(kind, object));
    const made = table([row], { resourceVersion: object.metadata.resourceVersion }, version, columns);
    // kubectl reads the columns of the first event only; upstream sends them only there.
    columns = undefined;
    return made;
  };
  return {
    event({ type, entry }, revision) {
      const object = objectAs(resources, resource, entry);
      if (entry.revision === revision) return line(type, shown(object));
      return line(type, shown({ ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } }));
    },
    bookmark: (revision, initial) => line("BOOKMARK", shown({ metadata: metadataOf(revision, initial) }, true)),
    error: writeError,
  };
}

const line = (type: string, object: unknown): Uint8Array => Buffer.from(`${stringifyJson({ type, object })}\n`);

import { ApiError, badRequest, clone, deepEqual, type Json, type JsonObject, stringifyJson } from "#base";
import { cannotUnmarshal } from "./words.ts";

/** As many operations as upstream takes (`maxJSONPatchOperations`). */
const maximumOperations = 10_000;
/** By how many bytes all `copy` operations of a patch may make the object grow (`JSONPatchMaxCopyBytes`). */
const maximumCopied = 3 * 1024 * 1024;

type Container = JsonObject | Json[];

/**
 * Applies a JSON patch to a copy as upstream's library does (gopkg.in/evanphx/json-patch.v4), which is laxer than RFC
 * 6902: `replace` may set an absent member, `test` and `copy` read an absent member as null, `add` without a value adds
 * null, negative indexes count from the end, and what is before the first slash of a path is ignored. One thing is not
 * followed: upstream's `test` compares text that Go has escaped, so that a string with <, > or & never passes.
 *
 * A patch of null changes nothing. Throws ApiError 400 for a patch that is no list of objects, 413 for too many
 * operations, and 422 where an operation does not fit the object or a test fails.
 */
export function jsonPatch(object: JsonObject, patch: Json): Json {
  const operations = operationsOf(patch);
  if (operations.length > maximumOperations) {
    throw new ApiError(
      413,
      "RequestEntityTooLarge",
      `Request entity too large: The allowed maximum operations in a JSON patch is ${maximumOperations}, got ${operations.length}`,
    );
  }
  const patching = new Patching(clone(object));
  for (const operation of operations) patching.apply(operation);
  return patching.document;
}

function operationsOf(patch: Json): JsonObject[] {
  if (patch === null) return [];
  if (!Array.isArray(patch)) throw notDecodable(patch, "jsonpatch.Patch");
  return patch.map((operation) => {
    if (operation === null) return {};
    if (!isObject(operation)) throw notDecodable(operation, "jsonpatch.Operation");
    return operation;
  });
}

const notDecodable = (json: Json, type: string): ApiError => badRequest(cannotUnmarshal(json, `value of type ${type}`));

/** A document while the operations of one patch are applied to it. */
class Patching {
  document: Container;
  #copied = 0;

  constructor(document: JsonObject) {
    this.document = document;
  }

  apply(operation: JsonObject): void {
    const { op } = operation;
    if (op === "add") this.#add(textOf(operation, "path"), operation["value"] ?? null);
    else if (op === "remove") this.#remove(textOf(operation, "path"));
    else if (op === "replace") this.#replace(textOf(operation, "path"), operation["value"] ?? null);
    else if (op === "test") this.#test(textOf(operation, "path"), operation["value"]);
    else if (op === "move") this.#move(operation);
    else if (op === "copy") this.#copy(operation);
    else throw refused(`Unexpected kind: ${typeof op === "string" ? op : "unknown"}`);
  }

  #add(path: string, value: Json): void {
    const { container, key } = this.#find(path);
    // Values of a patch are not shared with the object, since a later operation may change them in place.
    insert(container, key, clone(value));
  }

  #remove(path: string): void {
    const { container, key } = this.#find(path);
    erase(container, key);
  }

  #replace(path: string, value: Json): void {
    if (path === "") {
      if (!isContainer(value)) throw refused("replace operation value must be object or array");
      this.document = clone(value);
      return;
    }
    const { container, key } = this.#find(path);
    if (Array.isArray(container)) container[indexIn(container, key)] = clone(value);
    else setMember(container, key, clone(value));
  }

  #test(path: string, value: Json | undefined): void {
    const actual = path === "" ? this.document : this.#read(path);
    if (!deepEqual(actual, value ?? null)) throw refused(`testing value ${path} failed`);
  }

  #move(operation: JsonObject): void {
    const from = this.#find(textOf(operation, "from"));
    const value = valueAt(from.container, from.key);
    erase(from.container, from.key);
    const { container, key } = this.#find(textOf(operation, "path"));
    insert(container, key, value);
  }

  #copy(operation: JsonObject): void {
    const value = this.#read(textOf(operation, "from"));
    const { container, key } = this.#find(textOf(operation, "path"));
    this.#copied += value === null ? 0 : Buffer.byteLength(stringifyJson(value));
    if (this.#copied > maximumCopied) {
      throw refused(`Unable to complete the copy, the accumulated size increase of copy is ${this.#copied}`);
    }
    insert(container, key, clone(value));
  }

  #read(path: string): Json {
    const { container, key } = this.#find(path);
    return valueAt(container, key);
  }

  /** The container that the last token of a path is looked up in. "" names no place: only `test` and `replace` take it. */
  #find(path: string): { container: Container; key: string } {
    const tokens = path.split("/").map(unescaped);
    if (tokens.length < 2) throw refused(`doc is missing path: ${path}`);
    let container = this.document;
    for (const token of tokens.slice(1, -1)) {
      const next = valueAt(container, token);
      if (!isContainer(next)) throw refused(`doc is missing path: ${path}`);
      container = next;
    }
    return { container, key: tokens.at(-1)! };
  }
}

const unescaped = (token: string): string => token.replace(/~[01]/g, (code) => (code === "~1" ? "/" : "~"));

function textOf(operation: JsonObject, member: "path" | "from"): string {
  const text = operation[member];
  if (typeof text !== "string") throw refused(`operation missing ${member} field`);
  return text;
}

/** What a container has at a key; null where an object has nothing. */
function valueAt(container: Container, key: string): Json {
  if (Array.isArray(container)) return container[indexIn(container, key)]!;
  return Object.hasOwn(container, key) ? container[key]! : null;
}

/** The index of an item that exists. */
function indexIn(list: readonly Json[], key: string): number {
  const index = indexOf(key, list.length);
  if (index >= list.length) throw refused(`Unable to access invalid index: ${key}`);
  return index;
}

/** Reads an index as Go's strconv.Atoi does; a negative one counts from `length`. */
function indexOf(key: string, length: number): number {
  if (!/^[+-]?\d+$/.test(key)) throw refused(`value was not a proper array index: '${key}'`);
  const index = Number(key);
  const counted = index < 0 ? index + length : index;
  if (counted < 0) throw refused(`Unable to access invalid index: ${key}`);
  return counted;
}

function insert(container: Container, key: string, value: Json): void {
  if (!Array.isArray(container)) {
    setMember(container, key, value);
    return;
  }
  // Upstream counts a negative index from the end of the longer list: -1 appends.
  const index = key === "-" ? container.length : indexOf(key, container.length + 1);
  if (index > container.length) throw refused(`Unable to access invalid index: ${key}`);
  container.splice(index, 0, value);
}

function erase(container: Container, key: string): void {
  if (Array.isArray(container)) container.splice(indexIn(container, key), 1);
  else if (Object.hasOwn(container, key)) delete container[key];
  else throw refused(`Unable to remove nonexistent key: ${key}`);
}

function setMember(object: JsonObject, key: string, value: Json): void {
  if (key === "__proto__") {
    Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
  } else object[key] = value;
}

/**
 * Where in the object a place in a patch ends up, such as `["spec", "replicas"]` for `[0, "value"]`; undefined where the
 * place is not within what an operation adds. Indexes are text.
 */
export function placeInObject(patch: Json, place: readonly (string | number)[]): (string | number)[] | undefined {
  const [index, member, ...rest] = place;
  const operation = Array.isArray(patch) && typeof index === "number" ? patch[index] : undefined;
  if (member !== "value" || !isObject(operation) || typeof operation["path"] !== "string") return undefined;
  if (operation["op"] !== "add" && operation["op"] !== "replace") return undefined;
  return [...operation["path"].split("/").slice(1).map(unescaped), ...rest];
}

/** Members of an operation as upstream's strict decoder knows them (`jsonPatchOp`). */
const members = new Set(["op", "path", "from", "value"]);

/**
 * What a strict decoder finds in a patch: paths of unknown members such as `[0].extra`. Throws ApiError 400 in Go's
 * words where a member has the wrong type, which only the strict decoder checks.
 */
export function unknownInJsonPatch(patch: Json): string[] {
  if (patch === null) return [];
  if (!Array.isArray(patch)) throw undecodable(patch, "value of type []handlers.jsonPatchOp");
  return patch.flatMap((operation, index) => {
    if (operation === null) return [];
    if (!isObject(operation)) throw undecodable(operation, "value of type handlers.jsonPatchOp");
    for (const member of ["op", "path", "from"]) {
      const value = operation[member] ?? "";
      if (typeof value !== "string") throw undecodable(value, `struct field jsonPatchOp.${member} of type string`);
    }
    const unknown = Object.keys(operation).filter((member) => !members.has(member));
    return unknown.map((member) => `[${index}].${member}`);
  });
}

const undecodable = (json: Json, where: string): ApiError =>
  badRequest(`error decoding patch: ${cannotUnmarshal(json, where)}`);

const isObject = (json: Json | undefined): json is JsonObject =>
  typeof json === "object" && json !== null && !Array.isArray(json);

const isContainer = (json: Json): json is Container => typeof json === "object" && json !== null;

/** Upstream returns no more than this; the cause of the error is for the log. */
const refused = (why: string): ApiError =>
  new ApiError(422, "Invalid", "the server rejected our request due to an error in our request", {}, { cause: why });

import {
  apiVersionOf,
  type FieldShape,
  type Kind,
  ListMeta,
  type MessageShape,
  messageShapeOf,
  type Scalar,
  type Shape,
  type Verb,
} from "#api/meta";
import { stringifyJson } from "#base";
import { type Registry, verbsOf } from "#resources";
import { jsonType } from "./answer.ts";
import type { ApiRequest, ApiResponse } from "./request.ts";

type Schema = Record<string, unknown>;

/** Scalars that are types of their own: clients print the names of these (`kubectl explain`). */
const namedScalars: Partial<Record<Scalar, { name: string; schema: Schema }>> = {
  time: {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.Time",
    schema: { description: "A time in RFC 3339, to the second.", type: "string", format: "date-time" },
  },
  microTime: {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime",
    schema: { description: "A time in RFC 3339, to the microsecond.", type: "string", format: "date-time" },
  },
  quantity: {
    name: "io.k8s.apimachinery.pkg.api.resource.Quantity",
    schema: {
      description: "An amount: a number with a suffix such as m, k, Mi or e3.",
      oneOf: [{ type: "string" }, { type: "number" }],
    },
  },
  intOrString: {
    name: "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
    schema: {
      description: "A number, or a text such as a percentage or a name.",
      format: "int-or-string",
      oneOf: [{ type: "integer" }, { type: "string" }],
    },
  },
  fieldsV1: {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1",
    schema: { description: "A set of fields, as a tree of their names.", type: "object" },
  },
  raw: {
    name: "io.k8s.apimachinery.pkg.runtime.RawExtension",
    schema: { description: "Any JSON object.", type: "object" },
  },
};

const plainScalars: Partial<Record<Scalar, Schema>> = {
  string: { type: "string" },
  boolean: { type: "boolean" },
  int32: { type: "integer", format: "int32" },
  int64: { type: "integer", format: "int64" },
  double: { type: "number", format: "double" },
  bytes: { type: "string", format: "byte" },
  duration: { type: "string" },
};

const reference = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });

function scalarSchema(scalar: Scalar, into: Map<string, Schema>): Schema {
  const named = namedScalars[scalar];
  if (!named) return plainScalars[scalar] ?? {};
  into.set(named.name, named.schema);
  return reference(named.name);
}

function schemaOf(shape: Shape, into: Map<string, Schema>): Schema {
  if (shape.type === "scalar") return scalarSchema(shape.scalar, into);
  if (shape.type === "list") return { type: "array", items: schemaOf(shape.item, into) };
  if (shape.type === "map") return { type: "object", additionalProperties: schemaOf(shape.value, into) };
  define(shape, into);
  return reference(shape.name);
}

function define(shape: MessageShape, into: Map<string, Schema>): Schema {
  const known = into.get(shape.name);
  if (known) return known;
  const schema: Schema = { type: "object" };
  into.set(shape.name, schema);
  const properties: Record<string, Schema> = {};
  const required: string[] = [];
  for (const [name, field] of shape.fields) {
    properties[name] = property(field, into);
    if (field.required) required.push(name);
  }
  schema["properties"] = properties;
  if (required.length > 0) schema["required"] = required;
  if (shape.atomic) schema["x-kubernetes-map-type"] = "atomic";
  return schema;
}

function property({ shape, facts }: FieldShape, into: Map<string, Schema>): Schema {
  const own = schemaOf(shape, into);
  const extensions: Schema = {
    ...(facts.doc === undefined ? {} : { description: facts.doc }),
    ...(facts.default === undefined ? {} : { default: facts.default }),
    ...(facts.values && shape.type !== "list" ? { enum: facts.values } : {}),
    ...(facts.list ? { "x-kubernetes-list-type": facts.list } : {}),
    ...(facts.keys ? { "x-kubernetes-list-map-keys": facts.keys } : {}),
    ...(facts.atomic ? { "x-kubernetes-map-type": "atomic" } : {}),
    ...patchExtensions(facts),
  };
  if (shape.type === "list" && facts.values) own["items"] = { ...(own["items"] as Schema), enum: facts.values };
  // In OpenAPI 3.0 a reference cannot have siblings.
  if ("$ref" in own) return { allOf: [own], ...extensions };
  return { ...own, ...extensions };
}

function patchExtensions(facts: FieldShape["facts"]): Schema {
  const strategies = [
    ...(facts.mergeKey !== undefined || facts.merge ? ["merge"] : []),
    ...(facts.retainKeys ? ["retainKeys"] : []),
  ];
  if (strategies.length === 0) return {};
  return {
    "x-kubernetes-patch-strategy": strategies.join(","),
    ...(facts.mergeKey === undefined ? {} : { "x-kubernetes-patch-merge-key": facts.mergeKey }),
  };
}

const typeMeta: Record<string, Schema> = {
  apiVersion: { type: "string", description: "Group and version that the object is written in." },
  kind: { type: "string", description: "Name of the object's kind." },
};

/** The name of a kind's schema in the document. */
const nameOf = (kind: Kind): string => kind.shape.name;

function defineKind(kind: Kind, into: Map<string, Schema>): void {
  const schema = define(kind.shape, into);
  const { group, version } = kind;
  schema["x-kubernetes-group-version-kind"] = [{ group, version, kind: kind.kind }];
  schema["properties"] = { ...typeMeta, ...(schema["properties"] as object) };
  into.set(`${nameOf(kind)}List`, {
    type: "object",
    properties: {
      ...typeMeta,
      items: { type: "array", items: reference(nameOf(kind)) },
      metadata: { allOf: [schemaOf(messageShapeOf(ListMeta), into)] },
    },
    required: ["items"],
    "x-kubernetes-group-version-kind": [{ group, version, kind: `${kind.kind}List` }],
  });
}

const queryParameter = (name: string, type = "string"): Schema => ({ name, in: "query", schema: { type } });
const pathParameter = (name: string): Schema => ({ name, in: "path", required: true, schema: { type: "string" } });
const writeParameters = ["dryRun", "fieldManager", "fieldValidation"].map((name) => queryParameter(name));

const methods: Partial<Record<Verb, string>> = {
  get: "get",
  list: "get",
  create: "post",
  update: "put",
  patch: "patch",
  delete: "delete",
  deletecollection: "delete",
};
const actions: Partial<Record<Verb, string>> = { create: "post", update: "put" };

function operation(kind: Kind, verb: Verb): Schema {
  const { group, version } = kind;
  const content = {
    content: { [jsonType]: { schema: reference(verb === "list" ? `${nameOf(kind)}List` : nameOf(kind)) } },
  };
  const writes = verb === "create" || verb === "update" || verb === "patch";
  const parameters = [
    ...(writes ? writeParameters : []),
    ...(verb === "patch" ? [queryParameter("force", "boolean")] : []),
  ];
  return {
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(writes ? { requestBody: content } : {}),
    responses: { "200": { description: "OK", ...content } },
    "x-kubernetes-action": actions[verb] ?? verb,
    "x-kubernetes-group-version-kind": { group, version, kind: kind.kind },
  };
}

function pathsOf(kind: Kind): Record<string, Schema> {
  const root = kind.group === "" ? "/api/v1" : `/apis/${apiVersionOf(kind)}`;
  const home = kind.scope === "Namespaced" ? `${root}/namespaces/{namespace}` : root;
  const collection = `${home}/${kind.plural}`;
  const parameters = kind.scope === "Namespaced" ? [pathParameter("namespace")] : [];
  const of = (verbs: Verb[]) =>
    Object.fromEntries(
      verbs.filter((verb) => verbsOf(kind).includes(verb)).map((verb) => [methods[verb]!, operation(kind, verb)]),
    );
  const paths: Record<string, Schema> = {
    [collection]: { parameters, ...of(["list", "create", "deletecollection"]) },
    [`${collection}/{name}`]: {
      parameters: [...parameters, pathParameter("name")],
      ...of(["get", "update", "patch", "delete"]),
    },
  };
  if (kind.scope === "Namespaced") paths[`${root}/${kind.plural}`] = of(["list"]);
  if (kind.subresources?.["status"]) {
    const place = { parameters: [...parameters, pathParameter("name")], ...of(["get", "update", "patch"]) };
    paths[`${collection}/{name}/status`] = place;
  }
  return paths;
}

/** The OpenAPI v3 document of one group and version. */
export function openapiDocument(
  registry: Registry,
  group: string,
  version: string,
  gitVersion: string,
): { openapi: string; info: object; paths: object; components: { schemas: Record<string, object> } } {
  const schemas = new Map<string, Schema>();
  const paths: Record<string, Schema> = {};
  for (const kind of registry.kinds) {
    if (kind.internal || kind.group !== group || kind.version !== version) continue;
    defineKind(kind, schemas);
    if (verbsOf(kind).length > 0) Object.assign(paths, pathsOf(kind));
  }
  const sorted = Object.fromEntries([...schemas].sort(([a], [b]) => (a < b ? -1 : 1)));
  return {
    openapi: "3.0.0",
    info: { title: "Kubernetes", version: gitVersion },
    paths,
    components: { schemas: sorted },
  };
}

interface Document {
  bytes: Uint8Array;
  hash: string;
}

/** The OpenAPI v3 documents of a registry, one for each group and version. Each is built on first use after a change. */
export class OpenapiV3 {
  readonly #registry: Registry;
  readonly #gitVersion: string;
  readonly #documents = new Map<string, Promise<Document>>();
  #revision = 0;

  constructor(registry: Registry, gitVersion: string) {
    this.#registry = registry;
    this.#gitVersion = gitVersion;
  }

  /** `/openapi/v3`: the documents with the hashes of their contents. */
  async index(): Promise<ApiResponse> {
    const paths: Record<string, object> = {};
    for (const name of this.#groups().keys()) {
      paths[name] = { serverRelativeURL: `/openapi/v3/${name}?hash=${(await this.#document(name)!).hash}` };
    }
    const body = new TextEncoder().encode(stringifyJson({ paths }));
    return { status: 200, headers: { "content-type": jsonType }, body };
  }

  /** One document. Undefined for an unknown name; a request with another hash is redirected to the current one. */
  async answer({ path, query }: ApiRequest): Promise<ApiResponse | undefined> {
    const found = await this.#document(path.slice("/openapi/v3/".length));
    if (!found) return undefined;
    const hash = query.get("hash") ?? "";
    if (hash !== "" && hash !== found.hash) {
      return { status: 301, headers: { location: `${path}?hash=${found.hash}` }, body: new Uint8Array() };
    }
    const forever = hash === "" ? {} : { "cache-control": "public, immutable", vary: "Accept" };
    const headers = { "content-type": jsonType, etag: `"${found.hash}"`, ...forever };
    return { status: 200, headers, body: found.bytes };
  }

  /** Groups and versions by the names of their documents. */
  #groups(): Map<string, { group: string; version: string }> {
    const groups = this.#registry.groups();
    const all = groups.flatMap(({ group, versions }) => versions.map((version) => ({ group, version })));
    return new Map(all.map((at) => [`${at.group === "" ? "api" : "apis"}/${apiVersionOf(at)}`, at]));
  }

  #document(name: string): Promise<Document> | undefined {
    if (this.#revision !== this.#registry.revision) this.#documents.clear();
    this.#revision = this.#registry.revision;
    const at = this.#groups().get(name);
    if (!at) return undefined;
    const document = this.#documents.get(name) ?? this.#build(at);
    this.#documents.set(name, document);
    return document;
  }

  async #build({ group, version }: { group: string; version: string }): Promise<Document> {
    const document = openapiDocument(this.#registry, group, version, this.#gitVersion);
    const bytes = new TextEncoder().encode(stringifyJson(document));
    const digest = await crypto.subtle.digest("SHA-512", bytes);
    return { bytes, hash: Buffer.from(digest).toString("hex").toUpperCase() };
  }
}

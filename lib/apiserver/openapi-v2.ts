import type { Json, JsonObject } from "#base";
import type { Registry } from "#resources";
import { type OpenapiV2, openapiV2Types, parseAccept, protobuf } from "#wire";
import { json } from "./answer.ts";
import { openapiDocument } from "./openapi.ts";
import type { ApiRequest, ApiResponse } from "./request.ts";

/** An OpenAPI v3 schema in the form of v2: other references, with siblings, and no alternatives. */
function older(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map(older);
  if (typeof schema !== "object" || schema === null) return schema;
  const { allOf, oneOf, ...rest } = schema;
  const made: JsonObject = {};
  const reference = Array.isArray(allOf) ? (allOf[0] as JsonObject) : {};
  for (const [name, value] of Object.entries({ ...reference, ...rest })) {
    if (name === "$ref") made[name] = String(value).replace("#/components/schemas/", "#/definitions/");
    else made[name] = name === "default" || name.startsWith("x-") ? value : older(value);
  }
  // A number or a string travels under the name of a string's format.
  if (Array.isArray(oneOf) && made["type"] === undefined) made["type"] = "string";
  return made;
}

/** All kinds in one OpenAPI v2 document, for clients that do not read v3. */
export function openapiV2Document(registry: Registry, gitVersion: string): OpenapiV2 {
  const definitions: Record<string, JsonObject> = {};
  for (const { group, versions } of registry.groups()) {
    for (const version of versions) {
      const { components } = openapiDocument(registry, group, version, gitVersion);
      for (const [name, schema] of Object.entries(components.schemas)) {
        // A message that several documents share is the kind of one of them at the most.
        const known = definitions[name]?.["x-kubernetes-group-version-kind"] !== undefined;
        if (!known) definitions[name] = older(schema as JsonObject) as JsonObject;
      }
    }
  }
  return { swagger: "2.0", info: { title: "Kubernetes", version: gitVersion }, paths: {}, definitions };
}

/** Answers /openapi/v2, in protobuf where the client accepts it and in JSON otherwise. Built on first use after a change. */
export function openapiV2(registry: Registry, gitVersion: string): (request: ApiRequest) => Promise<ApiResponse> {
  let document: OpenapiV2 | undefined;
  let encoded: Uint8Array | undefined;
  let revision = 0;
  return async (request) => {
    if (revision !== registry.revision) [document, encoded, revision] = [undefined, undefined, registry.revision];
    document ??= openapiV2Document(registry, gitVersion);
    const asked = parseAccept(request.headers["accept"] ?? "").map(({ type }) => type);
    const wanted = asked.find((type) => type === openapiV2Types.asked || type === openapiV2Types.json);
    if (wanted !== openapiV2Types.asked) return json(200, document);
    encoded ??= (await protobuf()).encodeOpenapiV2(document);
    return { status: 200, headers: { "content-type": openapiV2Types.answered, vary: "Accept" }, body: encoded };
  };
}

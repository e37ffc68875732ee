import type { JsonObject } from "#base";

export const openapiV2Types = {
  json: "application/json",
  /** The media type in Accept and the one of the answer: `@` is not allowed in a media type. */
  asked: "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
  answered: "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
} as const;

export interface OpenapiV2 {
  swagger: "2.0";
  info: { title: string; version: string };
  paths: Record<string, never>;
  definitions: Record<string, JsonObject>;
}

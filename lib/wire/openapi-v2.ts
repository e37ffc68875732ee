import type { JsonObject } from "#base";

export const openapiV2Types = {
  json: "application/json",
  /** What clients accept, and what they are answered with: `@` may not stand in a media type. */
  asked: "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
  answered: "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
} as const;

export interface OpenapiV2 {
  swagger: "2.0";
  info: { title: string; version: string };
  paths: Record<string, never>;
  definitions: Record<string, JsonObject>;
}

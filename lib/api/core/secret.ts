import type * as z from "zod";
import { messageOf } from "#base";
import {
  ageColumn,
  boolean,
  bytes,
  configMapKeyErrors,
  defineKind,
  type FieldError,
  invalidValue,
  map,
  message,
  metadataField,
  nameColumn,
  optional,
  requiredValue,
  string,
  tooLong,
  validateImmutable,
} from "../meta/index.ts";
import { base64Length, maximumData, validateFrozen } from "./data.ts";

export const Secret = message("io.k8s.api.core.v1.Secret", () => ({
  metadata: metadataField(),
  data: optional(2, map(bytes), "Bytes by key, in base64."),
  type: optional(3, string, "Type of the secret, which determines the required keys.", { default: "Opaque" }),
  stringData: optional(4, map(string), "Text by key, written into `data` and never shown."),
  immutable: optional(5, boolean, "Whether the data is immutable; this cannot be undone.", { isPointer: true }),
}));
export type Secret = z.infer<typeof Secret>;

/** Secrets that hold a service account's token. */
export const tokenSecretType = "kubernetes.io/service-account-token";
/** Annotations of such a secret: its account's name and uid (upstream's ServiceAccountNameKey, ServiceAccountUIDKey). */
export const accountNameAnnotation = "kubernetes.io/service-account.name";
export const accountUidAnnotation = "kubernetes.io/service-account.uid";

export const secrets = defineKind<Secret>({
  group: "",
  version: "v1",
  kind: "Secret",
  plural: "secrets",
  singular: "secret",
  scope: "Namespaced",
  schema: Secret,
  defaults: takeStringData,
  warnings: ({ type, data }) => (type === "kubernetes.io/tls" ? tlsWarnings(data) : []),
  validate,
  validateUpdate(next, previous) {
    const errors = validateImmutable(next.type, previous.type, "type");
    return previous.immutable ? [...errors, ...validateFrozen(next, previous, ["data"])] : errors;
  },
  fields: { type: ({ type }) => type ?? "" },
  columns: [
    nameColumn,
    { name: "Type", type: "string", doc: "Type of the secret.", value: ({ type }) => type ?? "" },
    { name: "Data", type: "string", doc: "Number of keys.", value: ({ data }) => Object.keys(data ?? {}).length },
    ageColumn,
  ],
});

/** `stringData` is a way in only: upstream merges it where it decodes the object. */
function takeStringData(object: Secret): void {
  if (!object.stringData) return;
  object.data ??= {};
  for (const [key, text] of Object.entries(object.stringData)) object.data[key] = toBase64(text);
  delete object.stringData;
}

const fromBase64 = (text: string): string =>
  new TextDecoder().decode(Uint8Array.from(atob(text), (character) => character.charCodeAt(0)));

function toBase64(text: string): string {
  let binary = "";
  for (const byte of new TextEncoder().encode(text)) binary += String.fromCharCode(byte);
  return btoa(binary);
}

function validate({ data = {}, type, metadata }: Secret): FieldError[] {
  const errors: FieldError[] = [];
  let size = 0;
  for (const key of Object.keys(data).sort()) {
    for (const message of configMapKeyErrors(key)) errors.push(invalidValue(`data[${key}]`, key, message));
    size += base64Length(data[key]!);
  }
  if (size > maximumData) errors.push(tooLong("data", maximumData));
  if (type === tokenSecretType) {
    const key = accountNameAnnotation;
    if (!metadata.annotations?.[key]) errors.push(requiredValue(`metadata.annotations[${key}]`));
  }
  return [...errors, ...validateKeys(type, data)];
}

const dockerKeys: Readonly<Record<string, string>> = {
  "kubernetes.io/dockercfg": ".dockercfg",
  "kubernetes.io/dockerconfigjson": ".dockerconfigjson",
};

/** The keys that the secret's type requires. */
function validateKeys(type: string | undefined, data: Readonly<Record<string, string>>): FieldError[] {
  const missing = (...keys: string[]): FieldError[] => keys.map((key) => requiredValue(`data[${key}]`));
  const dockerKey = dockerKeys[type ?? ""];
  if (dockerKey) return Object.hasOwn(data, dockerKey) ? validateJson(data, dockerKey) : missing(dockerKey);
  if (type === "kubernetes.io/basic-auth") {
    const there = Object.hasOwn(data, "username") || Object.hasOwn(data, "password");
    return there ? [] : missing("username", "password");
  }
  if (type === "kubernetes.io/ssh-auth") return data["ssh-privatekey"] ? [] : missing("ssh-privatekey");
  if (type === "kubernetes.io/tls")
    return missing(...["tls.crt", "tls.key"].filter((key) => !Object.hasOwn(data, key)));
  return [];
}

function validateJson(data: Readonly<Record<string, string>>, key: string): FieldError[] {
  try {
    const value = JSON.parse(fromBase64(data[key]!)) as unknown;
    if (typeof value === "object" && !Array.isArray(value)) return [];
    throw new Error("json: cannot unmarshal into Go value of type map[string]interface {}");
  } catch (error) {
    return [invalidValue(`data[${key}]`, "<secret contents redacted>", messageOf(error))];
  }
}

const pemLine = /^-----(BEGIN|END) ([^-\r\n]+)-----\r?$/;

/** The types of the PEM blocks in a text, each from its first line to the next end of its type. */
function blocksOf(text: string): string[] {
  const types: string[] = [];
  const lines = text.split("\n").map((line) => pemLine.exec(line));
  const lastEnds = new Map<string, number>();
  for (const [at, line] of lines.entries()) if (line?.[1] === "END") lastEnds.set(line[2]!, at);
  let open: string | undefined;
  for (const [at, line] of lines.entries()) {
    const [, mark, type = ""] = line ?? [];
    if (open === undefined && mark === "BEGIN" && (lastEnds.get(type) ?? -1) > at) open = type;
    else if (open === type && mark === "END") {
      types.push(type);
      open = undefined;
    }
  }
  return types;
}

/**
 * The error of crypto/tls for a malformed certificate or key. Whether they parse and belong together is not checked.
 */
function tlsWarnings(data: Readonly<Record<string, string>> = {}): string[] {
  const certificates = blocksOf(fromBase64(data["tls.crt"] ?? ""));
  const keys = blocksOf(fromBase64(data["tls.key"] ?? ""));
  const isKey = (type: string) => type === "PRIVATE KEY" || type.endsWith(" PRIVATE KEY");
  if (certificates.length === 0) return ["tls: failed to find any PEM data in certificate input"];
  if (!certificates.includes("CERTIFICATE")) {
    if (certificates.length === 1 && certificates[0]!.endsWith("PRIVATE KEY")) {
      return [
        "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched",
      ];
    }
    const skipped = `[${certificates.join(" ")}]`;
    return [
      `tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the following types: ${skipped}`,
    ];
  }
  if (keys.length === 0) return ["tls: failed to find any PEM data in key input"];
  if (keys.some(isKey)) return [];
  if (keys.length === 1 && keys[0] === "CERTIFICATE") {
    return ["tls: found a certificate rather than a key in the PEM for the private key"];
  }
  return [
    `tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping PEM blocks of the following types: [${keys.join(" ")}]`,
  ];
}

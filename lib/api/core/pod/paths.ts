/** Rules for paths inside volumes. */
import { type FieldError, invalidValue, requireText } from "../../meta/index.ts";
import type { KeyToPath } from "./volume-file.ts";

const modeMessage = "must be a number between 0 and 0777 (octal), both inclusive";

export const checkMode = (field: string, mode: number | undefined): FieldError[] =>
  mode !== undefined && (mode > 0o777 || mode < 0) ? [invalidValue(field, mode, modeMessage)] : [];

export const checkNoBacksteps = (field: string, path: string): FieldError[] =>
  path.split("/").includes("..") ? [invalidValue(field, path, "must not contain '..'")] : [];

/** A path that leads down from where it starts. */
export const checkDescendingPath = (field: string, path: string): FieldError[] => [
  ...(path.startsWith("/") ? [invalidValue(field, path, "must be a relative path")] : []),
  ...checkNoBacksteps(field, path),
];

/** As checkDescendingPath; names that start with two dots belong to the kubelet. */
export const checkLocalPath = (field: string, path: string): FieldError[] => [
  ...checkDescendingPath(field, path),
  ...(path.startsWith("..") && !path.startsWith("../") ? [invalidValue(field, path, "must not start with '..'")] : []),
];

export const checkKeyToPath = (field: string, { key, path = "", mode }: KeyToPath): FieldError[] => [
  ...requireText(`${field}.key`, key),
  ...requireText(`${field}.path`, path),
  ...checkLocalPath(`${field}.path`, path),
  ...checkMode(`${field}.mode`, mode),
];

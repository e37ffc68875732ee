import type { Column } from "./kind.ts";
import type { KubernetesObject } from "./object-meta.ts";
import { ageOf } from "./time.ts";

/** The first column of nearly every kind. */
export const nameColumn: Column<KubernetesObject> = {
  name: "Name",
  type: "string",
  format: "name",
  doc: "Name of the object, unique in its namespace.",
  value: ({ metadata }) => metadata.name ?? "",
};

/** How long ago the object was made. */
export const ageColumn: Column<KubernetesObject> = {
  name: "Age",
  type: "string",
  doc: "Time since the object was created.",
  value: ({ metadata }, now) => ageOf(metadata.creationTimestamp, now),
};

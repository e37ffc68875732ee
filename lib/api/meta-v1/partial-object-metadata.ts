import type * as z from "zod";
import { ListMeta, list, message, metadataField, optional, required } from "../meta/index.ts";

const meta = "io.k8s.apimachinery.pkg.apis.meta.v1";

/** An object of which only the metadata is shown. */
export const PartialObjectMetadata = message(`${meta}.PartialObjectMetadata`, () => ({ metadata: metadataField() }));
export type PartialObjectMetadata = z.infer<typeof PartialObjectMetadata>;

export const PartialObjectMetadataList = message(`${meta}.PartialObjectMetadataList`, () => ({
  metadata: optional(1, ListMeta, "Metadata of the list."),
  items: required(2, list(PartialObjectMetadata), "The objects."),
}));
export type PartialObjectMetadataList = z.infer<typeof PartialObjectMetadataList>;

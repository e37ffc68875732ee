import type { PodTemplateSpec } from "../core/index.ts";
import { type Column, type KubernetesObject, type LabelSelector, labelSelectorText } from "../meta/index.ts";

interface Owner extends KubernetesObject {
  spec?: { selector?: LabelSelector | undefined; template?: PodTemplateSpec | undefined } | undefined;
}

const containersOf = ({ spec }: Owner) => spec?.template?.spec?.containers ?? [];

/** The columns that everything with a pod template shows in wide output. */
export const templateColumns: readonly Column<Owner>[] = [
  {
    name: "Containers",
    type: "string",
    priority: 1,
    doc: "Names of the containers.",
    value: (object) =>
      containersOf(object)
        .map(({ name }) => name)
        .join(","),
  },
  {
    name: "Images",
    type: "string",
    priority: 1,
    doc: "Images of the containers.",
    value: (object) =>
      containersOf(object)
        .map(({ image }) => image)
        .join(","),
  },
  { name: "Selector", type: "string", priority: 1, doc: "Label selector of its pods.", value: selectorText },
];

function selectorText({ spec }: Owner): string {
  return spec?.selector ? labelSelectorText(spec.selector) : "<none>";
}

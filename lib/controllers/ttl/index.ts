/**
 * Sets the annotation by which kubelets know how long they may cache secrets and config maps (upstream's ttl
 * controller): longer in large clusters.
 */

import { type Node, nodes } from "#api";
import { ignoreNotFound } from "#base";
import { type ControllerContext, defineController, type Key, watching } from "#reconcile";

const annotation = "node.alpha.kubernetes.io/ttl";

/**
 * Seconds by the number of nodes. The steps overlap, so that a cluster at a boundary does not alternate between two.
 */
const steps = [
  { least: 0, most: 100, seconds: "0" },
  { least: 90, most: 500, seconds: "15" },
  { least: 450, most: 1000, seconds: "30" },
  { least: 900, most: 2000, seconds: "60" },
  { least: 1800, most: Number.POSITIVE_INFINITY, seconds: "300" },
];

const ttlOf = ({ metadata }: Node): string | undefined => metadata.annotations?.[annotation];

/** Values that fit the number of nodes, the shortest first. */
const fitting = (count: number): string[] =>
  steps.filter(({ least, most }) => count >= least && count <= most).map(({ seconds }) => seconds);

export const ttlController = defineController<Node>({
  name: "ttl",
  for: nodes,
  concerns: ({ type, object, previous }) => type !== "DELETED" && (!previous || ttlOf(object) !== ttlOf(previous)),
  watches: [
    // The number of nodes has changed: values that no longer fit are written again.
    watching<Node>(nodes, ({ type }, context) => (type === "MODIFIED" ? [] : misfits(context))),
  ],
  reconcile,
});

async function misfits({ client }: ControllerContext): Promise<Key[]> {
  const { items } = await client.list(nodes);
  const values = fitting(items.length);
  return items
    .filter((node) => !values.includes(ttlOf(node) ?? ""))
    .map(({ metadata }) => ({ name: metadata.name ?? "" }));
}

async function reconcile({ client }: ControllerContext, { name }: Key): Promise<void> {
  const node = await ignoreNotFound(client.get(nodes, { name }));
  if (!node) return;
  const { items } = await client.list(nodes);
  const values = fitting(items.length);
  const [wanted] = agreed(items, values) ?? values;
  if (ttlOf(node) === wanted) return;
  const patch = { metadata: { annotations: { [annotation]: wanted } } };
  await ignoreNotFound(client.patch(nodes, { name }, patch, { type: "merge" }));
}

/** Where two values fit, the one that most nodes have is kept. */
function agreed(items: readonly Node[], values: readonly string[]): string[] | undefined {
  const count = (value: string) => items.filter((node) => ttlOf(node) === value).length;
  const held = values.map((value) => ({ value, count: count(value) })).filter(({ count: some }) => some > 0);
  if (held.length === 0) return undefined;
  return held.sort((a, b) => b.count - a.count).map(({ value }) => value);
}

import { type CSINode, type CSINodeDriver, csiNodes, type Node, nodes } from "#api";
import { deepEqual, ignoreNotFound, isReason } from "#base";
import type { Client } from "#client";
import type { NodeInfo } from "./driver.ts";

/** The annotation with the node's names in storage systems, as JSON by driver. */
export const nodeIdAnnotation = "csi.volume.kubernetes.io/nodeid";

const largestCount = 2 ** 31 - 1;

/** A driver's entry in the node's CSINode. */
export function entryOf(name: string, { id, maxVolumes, topology }: NodeInfo): CSINodeDriver {
  const count = Math.min(maxVolumes, largestCount);
  return {
    name,
    nodeID: id,
    topologyKeys: Object.keys(topology).sort(),
    ...(count > 0 ? { allocatable: { count } } : {}),
  };
}

/**
 * What a driver changes in its node: its annotation and its labels; undefined when nothing. Throws an Error when the
 * node has a label with another value (upstream's updateTopologyLabels).
 */
export function nodePatch(
  { metadata }: Node,
  name: string,
  info: NodeInfo,
): { annotations?: Record<string, string>; labels?: Record<string, string> } | undefined {
  const ids = nodeIds(metadata.annotations?.[nodeIdAnnotation]);
  const labels: Record<string, string> = {};
  for (const [key, value] of Object.entries(info.topology)) {
    const present = metadata.labels?.[key];
    if (present === value) continue;
    if (present !== undefined) {
      const [reported, existing] = [`"${key}":"${value}"`, `"${key}":"${present}"`];
      throw new Error(
        `detected topology value collision: driver reported ${reported} but existing label is ${existing}`,
      );
    }
    labels[key] = value;
  }
  const isKnown = ids[name] === info.id;
  if (isKnown && Object.keys(labels).length === 0) return undefined;
  return {
    ...(isKnown ? {} : { annotations: { [nodeIdAnnotation]: idsText({ ...ids, [name]: info.id }) } }),
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
  };
}

/** Go sorts the keys of maps in JSON. */
const idsText = (ids: Record<string, string>): string =>
  JSON.stringify(Object.fromEntries(Object.entries(ids).sort(([a], [b]) => (a < b ? -1 : 1))));

/** A malformed annotation has no ids: it is written again. */
function nodeIds(text: string | undefined): Record<string, string> {
  try {
    const ids: unknown = JSON.parse(text ?? "{}");
    return typeof ids === "object" && ids !== null ? (ids as Record<string, string>) : {};
  } catch {
    return {};
  }
}

/** The API's objects about the node's drivers: CSINode, and the node itself. Everything rejects with an ApiError. */
export class NodeObjects {
  readonly #client: Client;
  readonly #name: string;
  /** Writes one after the other: each reads what it changes. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(client: Client, name: string) {
    this.#client = client;
    this.#name = name;
  }

  /** Creates the CSINode if it is missing. */
  ensure(): Promise<void> {
    return this.#inTurn(async () => void (await this.#own()));
  }

  /**
   * Adds a driver, or gives its entry new values. Throws an Error also when the driver's values contradict the node.
   * An entry with another id or other labels is first removed, because the API does not change it.
   */
  install(name: string, info: NodeInfo): Promise<void> {
    if (info.id === "") throw new Error("error adding CSI driver node info: driverNodeID must not be empty");
    return this.#inTurn(async () => {
      const node = await this.#client.get(nodes, { name: this.#name });
      const patch = nodePatch(node, name, info);
      if (patch) await this.#patchNode(node, patch);
      const entry = entryOf(name, info);
      const csiNode = await this.#own();
      const present = csiNode.spec.drivers?.find((driver) => driver.name === name);
      if (deepEqual(present, entry)) return;
      const isOther = present && !deepEqual(withoutCount(present), withoutCount(entry));
      const base = isOther ? await this.#write(csiNode, without(csiNode, name)) : csiNode;
      await this.#write(base, [...without(base, name), entry]);
    });
  }

  /** Removes a driver. Its labels are kept, as upstream does: pods may depend on them. */
  uninstall(name: string): Promise<void> {
    return this.#inTurn(async () => {
      const csiNode = await ignoreNotFound(this.#client.get(csiNodes, { name: this.#name }));
      if (csiNode?.spec.drivers?.some((driver) => driver.name === name)) {
        await this.#write(csiNode, without(csiNode, name));
      }
      const node = await ignoreNotFound(this.#client.get(nodes, { name: this.#name }));
      const ids = nodeIds(node?.metadata.annotations?.[nodeIdAnnotation]);
      if (!node || ids[name] === undefined) return;
      const { [name]: _, ...others } = ids;
      const text = Object.keys(others).length === 0 ? null : idsText(others);
      await this.#patchNode(node, { annotations: { [nodeIdAnnotation]: text } });
    });
  }

  /** Names of the drivers that the API has for the node. */
  async drivers(): Promise<string[]> {
    const csiNode = await ignoreNotFound(this.#client.get(csiNodes, { name: this.#name }));
    return (csiNode?.spec.drivers ?? []).map(({ name }) => name ?? "");
  }

  /** The node's CSINode; that of an earlier node of the same name is replaced. */
  async #own(): Promise<CSINode> {
    const { metadata } = await this.#client.get(nodes, { name: this.#name });
    const uid = metadata.uid ?? "";
    const present = await ignoreNotFound(this.#client.get(csiNodes, { name: this.#name }));
    if (present?.metadata.ownerReferences?.some((owner) => owner.kind === "Node" && owner.uid === uid)) return present;
    // The garbage collector may be faster.
    if (present)
      await ignoreNotFound(this.#client.delete(csiNodes, { name: this.#name }, { uid: present.metadata.uid }));
    const owner = { apiVersion: "v1", kind: "Node", name: this.#name, uid };
    return this.#client.create(csiNodes, {
      metadata: { name: this.#name, ownerReferences: [owner] },
      spec: { drivers: [] },
    } as CSINode);
  }

  #write(csiNode: CSINode, drivers: CSINodeDriver[]): Promise<CSINode> {
    return this.#client.update(csiNodes, { ...csiNode, spec: { ...csiNode.spec, drivers } });
  }

  async #patchNode({ metadata }: Node, change: object): Promise<void> {
    // With the revision: the annotation has been computed from what was read.
    const patch = { metadata: { ...change, resourceVersion: metadata.resourceVersion } };
    await this.#client.patch(nodes, { name: this.#name }, patch, { type: "merge" });
  }

  /** Runs a change after those before it, again while another writer interferes. */
  #inTurn(change: () => Promise<void>): Promise<void> {
    const run = async (): Promise<void> => {
      for (let left = 5; ; left--) {
        try {
          return await change();
        } catch (error) {
          if (left === 0 || !(isReason(error, "Conflict") || isReason(error, "AlreadyExists"))) throw error;
        }
      }
    };
    const result = this.#last.then(run, run);
    this.#last = result;
    return result;
  }
}

const without = ({ spec }: CSINode, name: string): CSINodeDriver[] =>
  (spec.drivers ?? []).filter((driver) => driver.name !== name);

const withoutCount = ({ allocatable: _, ...rest }: CSINodeDriver): object => rest;

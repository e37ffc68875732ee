import { apiVersionOf, type GroupVersionKind, type Kind } from "#api/meta";
import { isServed, type Registry, subresourceVerbs, verbsOf } from "#resources";
import { parseAccept } from "#wire";
import { json } from "./answer.ts";
import type { ApiRequest, ApiResponse } from "./request.ts";
import { resourceNotFound } from "./router-errors.ts";

const servedKinds = (registry: Registry, group: string, version?: string): Kind[] =>
  registry.kinds
    .filter((kind) => kind.group === group && (version === undefined || kind.version === version))
    .filter(isServed)
    .sort((a, b) => (a.plural < b.plural ? -1 : 1));

const responseKind = ({ group, version, kind }: GroupVersionKind) => ({ group, version, kind });

/** What a subresource answers with. */
function partKind(kind: Kind, name: string): GroupVersionKind {
  const part = kind.subresources![name]!;
  if (part.type === "scale") return { group: "autoscaling", version: "v1", kind: "Scale" };
  return "accepts" in part ? part.accepts : kind;
}

/** meta/v1 APIResourceList of one group and version. */
export function resourceList(registry: Registry, group: string, version: string): object | undefined {
  const kinds = servedKinds(registry, group, version);
  if (kinds.length === 0) return undefined;
  const resources = kinds.flatMap((kind) => [
    {
      name: kind.plural,
      singularName: kind.singular,
      namespaced: kind.scope === "Namespaced",
      kind: kind.kind,
      verbs: [...verbsOf(kind)],
      ...(kind.shortNames?.length ? { shortNames: kind.shortNames } : {}),
      ...(kind.categories?.length ? { categories: kind.categories } : {}),
    },
    ...Object.entries(kind.subresources ?? {})
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, part]) => {
        const answer = partKind(kind, name);
        const foreign = answer.group !== kind.group || answer.version !== kind.version;
        return {
          name: `${kind.plural}/${name}`,
          singularName: "",
          namespaced: kind.scope === "Namespaced",
          ...(foreign ? { group: answer.group, version: answer.version } : {}),
          kind: answer.kind,
          verbs: subresourceVerbs(part),
        };
      }),
  ]);
  return { kind: "APIResourceList", apiVersion: "v1", groupVersion: apiVersionOf({ group, version }), resources };
}

/** The groups of the catalog that are served, the core group aside, in the order of the catalog. */
function servedGroups(registry: Registry): { group: string; versions: string[] }[] {
  return registry
    .groups()
    .filter(({ group }) => group !== "")
    .map(({ group, versions }) => ({
      group,
      versions: versions.filter((version) => servedKinds(registry, group, version).length > 0),
    }))
    .filter(({ versions }) => versions.length > 0);
}

function apiGroup({ group, versions }: { group: string; versions: string[] }): object {
  const all = versions.map((version) => ({ groupVersion: apiVersionOf({ group, version }), version }));
  return { name: group, versions: all, preferredVersion: all[0] };
}

const aggregatedVersion = (kinds: Kind[], version: string): object => ({
  version,
  resources: kinds.map((kind) => ({
    resource: kind.plural,
    responseKind: responseKind(kind),
    scope: kind.scope,
    singularResource: kind.singular,
    verbs: [...verbsOf(kind)],
    ...(kind.shortNames?.length ? { shortNames: kind.shortNames } : {}),
    ...(kind.categories?.length ? { categories: kind.categories } : {}),
    ...(kind.subresources
      ? {
          subresources: Object.entries(kind.subresources).map(([name, part]) => ({
            subresource: name,
            responseKind: responseKind(partKind(kind, name)),
            verbs: subresourceVerbs(part),
          })),
        }
      : {}),
  })),
  freshness: "Current",
});

/** apidiscovery.k8s.io/v2: everything below /api or /apis in one answer. */
function aggregated(registry: Registry, groups: { group: string; versions: string[] }[]): object {
  const items = groups.map(({ group, versions }) => ({
    metadata: group === "" ? {} : { name: group },
    versions: versions.map((version) => aggregatedVersion(servedKinds(registry, group, version), version)),
  }));
  return { kind: "APIGroupDiscoveryList", apiVersion: "apidiscovery.k8s.io/v2", metadata: {}, items };
}

const aggregatedType = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/** Whether the client understands aggregated discovery of the version that is served; others get the plain one. */
function wantsAggregated(request: ApiRequest): boolean {
  for (const { type, parameters } of parseAccept(request.headers["accept"] ?? "")) {
    if (type !== "application/json") continue;
    const as = parameters.get("as");
    if (as === undefined) return false;
    if (as === "APIGroupDiscoveryList" && parameters.get("g") === "apidiscovery.k8s.io" && parameters.get("v") === "v2")
      return true;
  }
  return false;
}

/**
 * Answers below /api and /apis where no resource is named; undefined where there is nothing. Throws ApiError 404 for a
 * version that a group lacks.
 */
export function discovery(registry: Registry, request: ApiRequest): ApiResponse | undefined {
  const parts = request.path.replace(/^\/|\/+$/g, "").split("/");
  if (parts.includes("")) return undefined;
  const [root, first, second] = parts;
  const vary = { vary: "Accept" };
  if (root === "api" && parts.length === 1) {
    const core = { group: "", versions: ["v1"] };
    if (wantsAggregated(request))
      return json(200, aggregated(registry, [core]), { ...vary, "content-type": aggregatedType });
    const addresses = [{ clientCIDR: "0.0.0.0/0", serverAddress: request.headers["host"] ?? "" }];
    return json(200, { kind: "APIVersions", versions: ["v1"], serverAddressByClientCIDRs: addresses }, vary);
  }
  if (root === "api" && parts.length === 2) return found(resourceList(registry, "", first!));
  if (root !== "apis") return undefined;
  const groups = servedGroups(registry);
  if (parts.length === 1) {
    if (wantsAggregated(request))
      return json(200, aggregated(registry, groups), { ...vary, "content-type": aggregatedType });
    return json(200, { kind: "APIGroupList", apiVersion: "v1", groups: groups.map(apiGroup) }, vary);
  }
  const group = groups.find((candidate) => candidate.group === first);
  if (!group) return undefined;
  if (parts.length === 2) return json(200, { kind: "APIGroup", apiVersion: "v1", ...apiGroup(group) });
  return parts.length === 3 ? found(resourceList(registry, first!, second!)) : undefined;
}

function found(value: object | undefined): ApiResponse {
  if (!value) throw resourceNotFound();
  return json(200, value);
}

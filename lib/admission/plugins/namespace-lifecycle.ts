import { namespaces } from "#api";
import { forbidden, isReason, notFound } from "#base";
import type { Plugin } from "../port.ts";

const permanent = ["default", "kube-system", "kube-public"];

/**
 * Refuses creates in a namespace that does not exist or is being deleted, and deletes of the permanent namespaces
 * (upstream's NamespaceLifecycle).
 */
export const namespaceLifecycle: Plugin = {
  name: "NamespaceLifecycle",
  async mutate({ operation, kind, namespace, name, object }, { client }) {
    const own = kind.group === namespaces.group && kind.kind === namespaces.kind;
    if (own && operation === "DELETE" && permanent.includes(name)) {
      throw forbidden({ group: "", resource: namespaces.plural }, name, "this namespace may not be deleted");
    }
    if (operation !== "CREATE" || namespace === "") return;
    const home = await client.get(namespaces, { name: namespace }).catch((error: unknown) => {
      if (isReason(error, "NotFound")) return undefined;
      throw error;
    });
    if (!home) throw notFound({ group: "", resource: namespaces.plural }, namespace);
    if (!home.metadata.deletionTimestamp) return;
    const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
    const error = forbidden({ group: kind.group, resource: kind.plural }, object?.metadata.name ?? name, why);
    error.status.details = {
      ...error.status.details,
      causes: [
        {
          reason: "NamespaceTerminating",
          message: `namespace ${namespace} is being terminated`,
          field: "metadata.namespace",
        },
      ],
    };
    throw error;
  },
};

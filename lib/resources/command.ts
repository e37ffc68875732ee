import type { CommandSubresource, KubernetesObject } from "#api/meta";
import { clone } from "#base";
import type { Call } from "./call.ts";
import { updateObject } from "./update.ts";
import { setNamespace } from "./write.ts";

/** Applies a posted body to the stored object, such as a Binding to its pod. */
export async function command(
  call: Call,
  part: CommandSubresource<KubernetesObject>,
  body: KubernetesObject,
): Promise<void> {
  body.metadata ??= {};
  setNamespace(call, body);
  await updateObject(call, {
    preparedBy: "command",
    uid: body.metadata.uid || undefined,
    next(current) {
      const next = clone(current);
      part.apply(next, body, { now: call.resources.clock.now() });
      return next;
    },
  });
}

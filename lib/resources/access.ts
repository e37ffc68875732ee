import type { AccessContext } from "#api/meta";
import type { Call } from "./call.ts";

/** What a kind's hooks may use besides the object. */
export const accessContext = ({ resources, access, user, namespace, name }: Call): AccessContext => ({
  ...access,
  user,
  namespace,
  name,
  now: resources.clock.now(),
});

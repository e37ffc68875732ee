import type { CriItems } from "./pods.ts";

/** The states of what CRI lists, by the pod's uid. */
export function statesOf({ sandboxes, containers }: CriItems): Map<string, string> {
  const uids = new Map(sandboxes.map((sandbox) => [sandbox.id, sandbox.metadata.uid]));
  const parts = new Map<string, string[]>();
  const note = (uid: string | undefined, part: string): void => {
    if (uid === undefined) return;
    const known = parts.get(uid);
    if (known) known.push(part);
    else parts.set(uid, [part]);
  };
  for (const sandbox of sandboxes) note(sandbox.metadata.uid, `${sandbox.id} ${sandbox.state}`);
  for (const container of containers) note(uids.get(container.pod_sandbox_id), `${container.id} ${container.state}`);
  return new Map([...parts].map(([uid, states]) => [uid, states.sort().join("\n")]));
}

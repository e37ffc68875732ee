import type { AdmissionContext, AdmissionRequest } from "#admission";
import type { Conflict, Entry, Exists, Write } from "#store";
import type { Call } from "./call.ts";
import { commit } from "./write.ts";

export const admissionRequest = (
  call: Call,
  operation: AdmissionRequest["operation"],
  objects: Partial<Pick<AdmissionRequest, "object" | "previous">>,
): AdmissionRequest => ({
  operation,
  kind: call.resource.kind,
  subresource: call.subresource,
  namespace: call.namespace,
  name: call.name,
  user: call.user,
  dryRun: call.options.dryRun,
  fieldManager: call.options.fieldManager,
  ...objects,
});

const contextOf = ({ resources, access }: Call): AdmissionContext => ({
  client: resources.admissionClient,
  clock: resources.clock,
  random: resources.random,
  tokens: access.legacyTokens,
  authorize: access.authorize,
});

/** Runs the plugins' first pass in order; when a plugin refuses, those before it are undone. */
export async function mutate(call: Call, request: AdmissionRequest): Promise<void> {
  const context = contextOf(call);
  for (const [index, plugin] of call.resources.admission.entries()) {
    try {
      await plugin.mutate?.(request, context);
    } catch (error) {
      await undo(call, request, index);
      throw error;
    }
  }
}

/** Runs the plugins' second pass, after the kind's own validation. */
export async function validate(call: Call, request: AdmissionRequest): Promise<void> {
  const context = contextOf(call);
  for (const plugin of call.resources.admission) await plugin.validate?.(request, context);
}

/** Lets the plugins clean up after a stored write. Never throws: a controller finds what is left behind. */
export async function settle(call: Call, request: AdmissionRequest): Promise<void> {
  if (request.dryRun) return;
  const context = contextOf(call);
  for (const plugin of call.resources.admission) {
    try {
      await plugin.settle?.(request, context);
    } catch (error) {
      call.resources.log.warn("an admission plugin could not finish after a write", { plugin: plugin.name, error });
    }
  }
}

/** Takes back what the first `count` plugins prepared. Never throws: a controller finds what is left behind. */
async function undo(call: Call, request: AdmissionRequest, count = call.resources.admission.length): Promise<void> {
  const context = contextOf(call);
  for (const plugin of call.resources.admission.slice(0, count)) {
    try {
      await plugin.undo?.(request, context);
    } catch (error) {
      const about = { plugin: plugin.name, error };
      call.resources.log.warn("an admission plugin could not take back what it had prepared", about);
    }
  }
}

/** Stores the one write of an admitted operation, and remembers whether it is stored. */
export class AdmittedWrite {
  readonly #call: Call;
  #outcome: "refused" | "unknown" | "stored" = "refused";

  constructor(call: Call) {
    this.#call = call;
  }

  /** As `commit`. A rejection leaves open whether the write is stored. */
  async commit(write: Write): Promise<Entry | Exists | Conflict | undefined> {
    this.#outcome = "unknown";
    const result = await commit(this.#call, write);
    this.#outcome = result === undefined || result instanceof Error ? "refused" : "stored";
    return result;
  }

  /** The stored object already is as it should be. */
  unchanged(): void {
    this.#outcome = "stored";
  }

  get outcome(): "refused" | "unknown" | "stored" {
    return this.#outcome;
  }
}

/**
 * Runs `work` between the plugins' first pass and the end of their part in a write. What they prepared is undone only
 * when the write is certainly not stored; after a crash or an unknown outcome a controller finds the rest.
 */
export async function admitted<T>(
  call: Call,
  request: AdmissionRequest,
  work: (write: AdmittedWrite) => Promise<T>,
): Promise<T> {
  await mutate(call, request);
  const write = new AdmittedWrite(call);
  try {
    return await work(write);
  } finally {
    if (write.outcome === "stored") await settle(call, request);
    else if (write.outcome === "refused") await undo(call, request);
  }
}

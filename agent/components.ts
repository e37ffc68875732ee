import { type Log, messageOf } from "#base";

/** A running part of the agent. */
export interface Running {
  /** Resolves when it is ready; absent: it is ready as soon as it has started. */
  readonly ready?: Promise<void>;
  /** Ends it and releases what it holds. */
  stop(): void | Promise<void>;
}

/** A part of the agent with a life cycle. It may rely on the components before it in the list, from start to stop. */
export interface Component {
  /** For the log. */
  name: string;
  /** Starts it; rejects when it cannot be started, with nothing left running. */
  start(): Running | Promise<Running>;
}

export interface ComponentsOptions {
  log: Log;
  /** No further component is started once it has aborted; absent: all are started. */
  signal?: AbortSignal | undefined;
}

/**
 * Starts components one after the other; they are stopped in the reverse order. Rejects when a component cannot be
 * started, after those before it have been stopped. `ready` of the result is that of all components.
 */
export async function startComponents(
  components: readonly Component[],
  { log, signal }: ComponentsOptions,
): Promise<Required<Running>> {
  const running: { name: string; part: Running }[] = [];
  let stopped: Promise<void> | undefined;
  const stopAll = async (): Promise<void> => {
    for (const { name, part } of running.toReversed()) {
      try {
        await part.stop();
      } catch (error) {
        log.warn("a component could not be stopped", { component: name, error: messageOf(error) });
      }
    }
  };
  try {
    for (const component of components) {
      if (signal?.aborted) break;
      running.push({ name: component.name, part: await component.start() });
    }
  } catch (error) {
    await stopAll();
    throw error;
  }
  return {
    ready: Promise.all(running.map(({ part }) => part.ready)).then(() => {}),
    stop: () => {
      stopped ??= stopAll();
      return stopped;
    },
  };
}

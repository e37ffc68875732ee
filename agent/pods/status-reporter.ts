import type { Container, Pod } from "#api";
import type { PodsContext } from "./context.ts";
import type { View } from "./plan.ts";
import type { PodResize } from "./pod-resize.ts";
import type { Prober } from "./prober.ts";
import type { RestartAll } from "./restart-all.ts";
import type { Starter } from "./starter.ts";
import { type PodProgress, rejectedStatus, statusOf } from "./status.ts";
import type { StatusWriter } from "./status-writer.ts";
import { readTerminationMessage } from "./termination-message.ts";

export interface StatusReporterOptions {
  context: PodsContext;
  writer: StatusWriter;
  starter: Starter;
  prober: Prober;
  resize: PodResize;
  restartAll: RestartAll;
  /** When the node received the pod, in milliseconds since the epoch. */
  startTime: number;
}

/** How the node itself has ended a pod. */
export interface PodEnd {
  failure: PodProgress["failure"];
  /** The pod was rejected before its start: it has no containers to report. */
  isRejected: boolean;
  /** Why the pod gets the condition DisruptionTarget; absent: it does not. */
  disruption?: string;
}

/** Computes the status of one pod from what the runtime lists, and hands it to the writer. */
export class StatusReporter {
  readonly #options: StatusReporterOptions;
  /** By the ids of ended containers: the file of a message is read once. */
  readonly #terminationMessages = new Map<string, string>();

  constructor(options: StatusReporterOptions) {
    this.#options = options;
  }

  async report(pod: Pod, view: View, { failure, isRejected, disruption, terminal }: PodEnd & { terminal: boolean }) {
    const { context, writer, starter, prober, resize, restartAll, startTime } = this.#options;
    if (isRejected && failure) {
      writer.set(pod, rejectedStatus(pod, failure, startTime));
      return;
    }
    await this.#readMessages(pod, view);
    const progress: PodProgress = {
      waiting: (name) => starter.waiting(name),
      started: (container, spec) => prober.started(container, spec),
      ready: (container, spec) => prober.ready(container, spec),
      terminationMessage: (container) => this.#terminationMessages.get(container.id),
      restartingAll: restartAll.counts,
      resize: {
        conditions: resize.conditions,
        appliedTo: (container) => resize.resizer.appliedTo(container),
        podInEffect: (granted) => resize.resizer.podInEffect(granted),
      },
      failure,
      ...(disruption === undefined ? {} : { disruption }),
      terminal,
      startTime,
    };
    writer.set(pod, statusOf({ pod, view, progress, node: context.node }));
  }

  async #readMessages(pod: Pod, view: View): Promise<void> {
    const { initContainers = [], containers = [], ephemeralContainers = [] } = pod.spec ?? {};
    const specs = [...initContainers, ...containers, ...ephemeralContainers];
    for (const spec of specs as Container[]) {
      for (const ended of view.of(spec.name)) {
        if (ended.state !== "exited" || this.#terminationMessages.has(ended.id)) continue;
        const message = await readTerminationMessage(this.#options.context, pod, { spec, ended });
        this.#terminationMessages.set(ended.id, message);
      }
    }
  }
}

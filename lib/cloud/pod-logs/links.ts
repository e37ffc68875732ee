import { type ContainerStatus, type Pod, pods } from "#api";
import type { NodeRequest } from "#api/meta";
import type { NodeLinks } from "#apiserver";
import { type ApiError, type Clock, isReason } from "#base";
import type { Client } from "#client";
import { isFargateNode, logPrefix, recordOf } from "#fargate";
import { loggedRun } from "#kubelet";
import { logStart } from "#node-link";
import { readLog } from "./log-reader.ts";
import type { PodLogs } from "./pod-logs.ts";

export interface LogLinkOptions {
  /** The client with which pods are read. */
  client: Client;
  logs: PodLogs;
  /** The log group to which nodes send the logs of containers. */
  group: string;
  clock: Clock;
  /** The error for every other request. */
  refuse: (request: NodeRequest) => ApiError;
}

/**
 * Links to nodes without connections: logs are read from the log group to which nodes send them; every other request is
 * refused.
 */
export function logLinks({ client, logs, group, clock, refuse }: LogLinkOptions): NodeLinks {
  return {
    async proxy({ request }) {
      throw refuse(request);
    },
    async request(_node, request, signal) {
      if (request.type !== "logs") throw refuse(request);
      const { container, options } = request;
      const find = (): Promise<Pod> => client.get(pods, request.pod);
      const pod = await find();
      const run = runOf(pod, container, options.previous);
      const runs = async (): Promise<boolean> => {
        const now = await find().catch((error: unknown) => {
          if (isReason(error, "NotFound")) return undefined;
          throw error;
        });
        return now?.metadata.uid === pod.metadata.uid && isRunning(now!, container, run);
      };
      const source = { logs, group, stream: run.stream, clock, runs };
      const body = readLog(source, { ...options, since: logStart(options, clock.now()) }, signal);
      return { status: 200, headers: { "content-type": "text/plain" }, body };
    },
  };
}

/** One run of a container: the number of its earlier runs, and the stream with its log. */
interface Run {
  attempt: number;
  stream: string;
}

const statusOf = ({ status }: Pod, container: string): ContainerStatus | undefined =>
  [
    ...(status?.containerStatuses ?? []),
    ...(status?.initContainerStatuses ?? []),
    ...(status?.ephemeralContainerStatuses ?? []),
  ].find(({ name }) => name === container);

/** The run whose log is requested. Throws BadRequest with the messages of upstream's validateContainerLogStatus. */
export function runOf(pod: Pod, container: string, previous: boolean): Run {
  const { status, containerID, in: part } = loggedRun(pod, container, previous);
  const { state, restartCount = 0 } = status;
  // A waiting container counts only runs that have begun.
  const attempt = part === "lastState" && !state?.waiting ? Math.max(0, restartCount - 1) : restartCount;
  return { attempt, stream: streamOf(pod, { container, attempt, containerID }) };
}

interface StreamOptions {
  container: string;
  attempt: number;
  containerID: string | undefined;
}

function streamOf(pod: Pod, { container, attempt, containerID }: StreamOptions): string {
  const { namespace, name, uid } = pod.metadata;
  if (!isFargateNode(pod.spec?.nodeName)) return [namespace, name, uid, container, attempt].join("/");
  // On Fargate the log driver names the stream after the task; a container's id begins with it.
  const task = /^ecs:\/\/(.+)-\d+$/.exec(containerID ?? "")?.[1] ?? recordOf(pod)?.arn.split("/").at(-1) ?? "";
  return [logPrefix, container, task].join("/");
}

function isRunning(pod: Pod, container: string, { attempt }: Run): boolean {
  const status = statusOf(pod, container);
  return status?.state?.running !== undefined && (status.restartCount ?? 0) === attempt;
}

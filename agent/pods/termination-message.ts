import { open } from "node:fs/promises";
import type { Container as RuntimeContainer } from "#agent/runtime";
import type { Container, Pod } from "#api";
import { messageOf } from "#base";
import { terminationFile } from "./container-spec.ts";
import type { PodsContext } from "./context.ts";

const maxMessageBytes = 4096;
const maxLogBytes = 2048;
const maxLogLines = 80;

/**
 * A container's termination message: the end of its file, or the end of its log where the policy allows it. Empty:
 * none. The limits are upstream's; those of a whole pod are applied to its status.
 */
export async function readTerminationMessage(
  context: PodsContext,
  pod: Pod,
  { spec, ended }: { spec: Container; ended: RuntimeContainer },
): Promise<string> {
  const path = terminationFile(context, pod, { name: spec.name, attempt: ended.attempt });
  if (spec.terminationMessagePath !== "" && path !== undefined) {
    const message = await endOf(path);
    if (message !== "") return message;
  }
  if (spec.terminationMessagePolicy !== "FallbackToLogsOnError" || ended.exitCode === 0) return "";
  let end = Buffer.alloc(0);
  try {
    for await (const part of context.runtime.streams.logs(ended.id, { tailLines: maxLogLines })) {
      end = Buffer.concat([end, part]).subarray(-maxLogBytes);
    }
  } catch {
    return "";
  }
  return end.toString();
}

/** The last bytes of the file, whose size the container decides (upstream's tail.ReadAtMost). */
async function endOf(path: string): Promise<string> {
  try {
    await using file = await open(path);
    const { size } = await file.stat();
    const bytes = Buffer.alloc(Math.min(size, maxMessageBytes));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, size - bytes.length);
    return bytes.subarray(0, bytesRead).toString();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    return `Error on reading termination log ${path}: ${messageOf(error)}`;
  }
}

import { readFile } from "node:fs/promises";
import type { Container as RuntimeContainer } from "#agent/runtime";
import type { Container, Pod } from "#api";
import { terminationFile } from "./container-spec.ts";
import type { PodsContext } from "./context.ts";

const maxMessageBytes = 4096;
const maxLogBytes = 2048;
const maxLogLines = 80;

/** A container's termination message: its file, or the end of its log where the policy allows it. Empty: none. */
export async function readTerminationMessage(
  context: PodsContext,
  pod: Pod,
  { spec, ended }: { spec: Container; ended: RuntimeContainer },
): Promise<string> {
  const path = terminationFile(context, pod, { name: spec.name, attempt: ended.attempt });
  if (spec.terminationMessagePath !== "" && path !== undefined) {
    const bytes = await readFile(path).catch(() => Buffer.alloc(0));
    if (bytes.length > 0) return bytes.subarray(0, maxMessageBytes).toString();
  }
  if (spec.terminationMessagePolicy !== "FallbackToLogsOnError" || ended.exitCode === 0) return "";
  const parts: Uint8Array[] = [];
  try {
    for await (const part of context.runtime.streams.logs(ended.id, { tailLines: maxLogLines })) parts.push(part);
  } catch {
    return "";
  }
  return Buffer.concat(parts).subarray(-maxLogBytes).toString();
}

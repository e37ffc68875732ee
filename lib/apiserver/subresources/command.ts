import type { CommandSubresource, KubernetesObject } from "#api/meta";
import { acceptedBy, command as runCommand } from "#resources";
import { statusAnswer } from "../answer.ts";
import { readSent } from "../body.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import type { RequestScope } from "../server.ts";

/** POST to a subresource that changes the object; answers 201 with a Status, as upstream. */
export async function command(
  call: RequestScope,
  request: ApiRequest,
  part: CommandSubresource<KubernetesObject>,
): Promise<ApiResponse> {
  const sent = await readSent(call, request, acceptedBy(call, part).kind);
  await runCommand(call, part, sent);
  const status = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 };
  return statusAnswer(201, status, request);
}

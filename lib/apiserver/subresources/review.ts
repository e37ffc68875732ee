import type { KubernetesObject, ReviewSubresource } from "#api/meta";
import { acceptedBy, reviewObject } from "#resources";
import { formatOf, shownAnswer } from "../answer.ts";
import { readSent } from "../body.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import type { RequestScope } from "../server.ts";

/** POST to a subresource that answers a review; 201 with the review in the form of its own kind, as upstream. */
export async function review(
  call: RequestScope,
  request: ApiRequest,
  part: ReviewSubresource<KubernetesObject>,
): Promise<ApiResponse> {
  const { kind } = acceptedBy(call, part);
  const answer = await reviewObject(call, part, await readSent(call, request, kind));
  return shownAnswer(call, request, {
    status: 201,
    kind,
    object: answer,
    format: formatOf(request, { tables: false }),
  });
}

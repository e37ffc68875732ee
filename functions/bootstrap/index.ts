/**
 * Creates the objects that every cluster has, once for each version, and reports to CloudFormation. Deletion keeps all
 * data; with `data: delete` it removes the issuer's documents, since a bucket that is not empty cannot be deleted.
 */
import * as z from "zod";
import { messageOf } from "#base";
import { registerFargateNode } from "#fargate/kubelet";
import { clock, lambda, log, openPlane, tendKeys } from "#hosts/aws";
import { openAuthority } from "#hosts/aws/authority/issuing";
import { requiredVariable } from "#hosts/aws/environment";
import { issuer, signingRing } from "./ports.ts";

/** The request of CloudFormation to a custom resource. */
const DeploymentEvent = z.object({
  RequestType: z.enum(["Create", "Update", "Delete"]),
  ResponseURL: z.url({ protocol: /^https$/ }),
  StackId: z.string(),
  RequestId: z.string(),
  LogicalResourceId: z.string(),
  PhysicalResourceId: z.string().optional(),
  ResourceProperties: z.object({ data: z.enum(["keep", "delete"]).optional() }).optional(),
});
type DeploymentEvent = z.infer<typeof DeploymentEvent>;

const physicalId = "skiff-bootstrap";

export const handler = lambda(DeploymentEvent, async (event) => {
  try {
    if (event.RequestType !== "Delete") {
      await openPlane().bootstrap();
      await openAuthority(openPlane().client, clock);
      await registerFargateNode(openPlane().client, clock.now());
      await tendKeys({
        ring: signingRing(),
        publish: issuer().publish,
        issuer: requiredVariable("SKIFF_ISSUER"),
        clock,
      });
    } else if (event.ResourceProperties?.data === "delete") await issuer().withdraw();
  } catch (error) {
    log.error("the cluster could not be prepared", { error });
    return answer(event, { Status: "FAILED", Reason: messageOf(error).slice(0, 1000) });
  }
  await answer(event, { Status: "SUCCESS" });
});

/** Without an answer CloudFormation waits an hour. */
async function answer(event: DeploymentEvent, result: { Status: string; Reason?: string }): Promise<void> {
  const { StackId, RequestId, LogicalResourceId, PhysicalResourceId = physicalId } = event;
  const body = JSON.stringify({ ...result, StackId, RequestId, LogicalResourceId, PhysicalResourceId });
  const response = await fetch(event.ResponseURL, { method: "PUT", body, headers: { "content-type": "" } });
  if (!response.ok) throw new Error(`CloudFormation did not take the answer: ${response.status}`);
}

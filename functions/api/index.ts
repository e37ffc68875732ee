/** The Kubernetes API behind API Gateway; every answer is streamed. Nothing here knows what is asked. */
import { refusal } from "#apiserver";
import { badRequest, isApiError } from "#base";
import type { ControlPlane } from "#controlplane";
import { told } from "../environment.ts";
import { log } from "../log.ts";
import { streaming } from "../middleware.ts";
import { clock, openPlane, podLogs, sts } from "../ports.ts";
import { identity } from "./identity.ts";
import { logLinks, notHere } from "./logs.ts";
import { ApiEvent, requestOf } from "./request.ts";
import { responseOf } from "./response.ts";

const open = (): ControlPlane => {
  const plane: ControlPlane = openPlane(() => ({
    caching: "none",
    authenticators: identity({
      client: () => plane.client,
      clusterId: told("SKIFF_CLUSTER_ID"),
      administrator: told("SKIFF_ADMINISTRATOR"),
      nodeRoles: told("SKIFF_NODE_ROLES").split(",").filter(Boolean),
      ...{ sts, clock, log },
    }),
    links: logLinks({
      client: () => plane.client,
      logs: podLogs(),
      group: told("SKIFF_POD_LOG_GROUP"),
      clock,
    }),
  }));
  return plane;
};

export const handler = streaming(
  ApiEvent,
  async (event) => {
    const gone = new AbortController();
    const { server } = open();
    const response = await server.handle(requestOf(event, gone.signal));
    if (response.tunnel) throw notHere(response.tunnel.path.split("/")[1] ?? "");
    return responseOf(response, { clock, log, closed: () => gone.abort() });
  },
  (error) => {
    const answer = refusal(isApiError(error) || !(error instanceof TypeError) ? error : badRequest(error.message));
    return responseOf(answer, { clock, log, closed: () => {} });
  },
);

/** The Kubernetes API behind API Gateway; every answer is streamed. Nothing here knows what is asked. */
import { type ApiRequest, refusal } from "#apiserver";
import { identity } from "#auth/aws-iam";
import { ringKeys, shared, tokenAuthority } from "#auth/service-account";
import { badRequest, isApiError } from "#base";
import { logLinks, podLogs } from "#cloud/pod-logs";
import { type ControlPlane, isRoutine } from "#controlplane";
import { clock, connections, log, openPlane, random, streaming } from "#hosts/aws";
import { requiredVariable } from "#hosts/aws/environment";
import { notHere } from "./logs.ts";
import { places, relays, signingRing, sts } from "./ports.ts";
import { ApiEvent, isWatch, requestOf } from "./request.ts";
import { type Delivery, responseOf } from "./response.ts";
import { ticketFor } from "./tickets.ts";

const open = (): ControlPlane => {
  const plane: ControlPlane = openPlane(() => ({
    caching: "none",
    watchPlaces: places(),
    tokens: (client) =>
      tokenAuthority({
        keys: ringKeys({ read: async () => (await signingRing().read()).text, clock, maxAge: shared.keysAge }),
        issuer: requiredVariable("SKIFF_ISSUER"),
        longest: shared.longestToken,
        ...{ client, clock, random },
      }),
    anonymous: "open-paths",
    authenticators: (client) =>
      identity({
        client,
        clusterId: requiredVariable("SKIFF_CLUSTER_ID"),
        administrator: requiredVariable("SKIFF_ADMINISTRATOR"),
        nodeRoles: requiredVariable("SKIFF_NODE_ROLES").split(",").filter(Boolean),
        ...{ sts, clock, log },
      }),
    audit: (event) => {
      if (!isRoutine(event)) log.info("a request was answered", { audit: event });
    },
    links: (client) =>
      logLinks({
        client,
        logs: podLogs(),
        group: requiredVariable("SKIFF_POD_LOG_GROUP"),
        clock,
        refuse: notHere,
      }),
  }));
  return plane;
};

const deliveryOf = (request: ApiRequest): Delivery | undefined =>
  isWatch(request.query) ? (requiredVariable("SKIFF_DELIVERY") as Delivery) : undefined;

export const handler = streaming(
  ApiEvent,
  async (event) => {
    const gone = new AbortController();
    const { server } = open();
    const request = requestOf(event, gone.signal);
    const answer = await server.handle(request);
    const response =
      answer.status === 101
        ? await ticketFor(request, answer, { connections: connections(), relays: relays() })
        : answer;
    return responseOf(response, { clock, log, closed: () => gone.abort(), delivery: deliveryOf(request) });
  },
  (error) => {
    const answer = refusal(isApiError(error) || !(error instanceof TypeError) ? error : badRequest(error.message));
    return responseOf(answer, { clock, log, closed: () => {} });
  },
);

/** The Kubernetes API behind API Gateway. Every response is streamed. It passes requests on and knows no resource. */
import { type ApiRequest, refusal } from "#apiserver";
import { badRequest, isApiError } from "#base";
import type { ControlPlane } from "#controlplane";
import { clock, connections, log, openPlane, random, streaming } from "#hosts/aws";
import { apiServerOptions, apiServerVariables } from "#hosts/aws/api-server";
import { requiredVariable, requiredVariables } from "#hosts/aws/environment";
import { notHere } from "./logs.ts";
import { places, relays, signingRing, sts } from "./ports.ts";
import { ApiEvent, isWatch, requestOf } from "./request.ts";
import { type Delivery, responseOf } from "./response.ts";
import { ticketFor } from "./tickets.ts";

const open = (): ControlPlane =>
  openPlane(() => ({
    caching: "none",
    watchPlaces: places(),
    ...apiServerOptions({
      variables: requiredVariables(apiServerVariables),
      ring: async () => (await signingRing().read()).text,
      sts,
      refuse: notHere,
      clock,
      random,
      log,
    }),
  }));

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

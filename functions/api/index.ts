/** The Kubernetes API behind API Gateway; every answer is streamed. Nothing here knows what is asked. */
import { refusal } from "#apiserver";
import { badRequest, isApiError } from "#base";
import { log } from "../log.ts";
import { streaming } from "../middleware.ts";
import { clock, openPlane } from "../ports.ts";
import { ApiEvent, requestOf } from "./request.ts";
import { responseOf } from "./response.ts";

export const handler = streaming(
  ApiEvent,
  async (event) => {
    const gone = new AbortController();
    const { server } = openPlane({ caching: "none" });
    const response = await server.handle(requestOf(event, gone.signal));
    return responseOf(response, { clock, log, closed: () => gone.abort() });
  },
  (error) => {
    const answer = refusal(isApiError(error) || !(error instanceof TypeError) ? error : badRequest(error.message));
    return responseOf(answer, { clock, log, closed: () => {} });
  },
);

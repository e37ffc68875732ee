/** Which headers of a client's request and its answer pass API Gateway. */
export { requestHeaders, responseHeaders } from "./headers.ts";

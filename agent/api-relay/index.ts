/**
 * The API inside pods: the node answers at the address of the service `kubernetes`. Where the API server has a
 * certificate for that address, connections are passed on to it; elsewhere the node answers with a certificate of its
 * own, and passes requests on.
 */
export { ApiProxy, type ApiProxyOptions } from "./api-proxy.ts";
export { ApiRelay, type ApiRelayOptions } from "./tcp-relay.ts";

/**
 * The API server of a cluster on AWS as one process: the functions' server over the same tables, on node:https, for
 * permanent watches and the agents' links. It runs no controller and no scheduler: its writes wake the functions.
 */
export { type Gateway, startGateway } from "./gateway.ts";

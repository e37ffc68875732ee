/** Networks and objects for tests of services and of routes. */
export { Network } from "./network.ts";

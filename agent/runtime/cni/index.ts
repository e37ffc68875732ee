/**
 * Pods' networks by CNI plugins, for runtimes that do not call them: the chain of a network's configuration is run on a
 * network namespace, and its result is stored where libcni stores it.
 */
export { CniNetwork, type CniOptions, type CniPort } from "./network.ts";

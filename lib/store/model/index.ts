/**
 * The model checker: a world of processes that crash, freeze and wait, plans of their operations on a store, and the
 * checks of the results. It drives the real drivers through the port. Only tests use it.
 */
export { check, type TrueChange, type Truth } from "./check.ts";
export { type Local, playLocal } from "./local.ts";
export { type Plan, plans } from "./plan.ts";
export { type History, type LogRead, play } from "./play.ts";
export { noTroubles, type Process, type Troubles, World } from "./world.ts";

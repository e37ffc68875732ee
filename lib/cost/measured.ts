import type { Usage } from "./prices.ts";

/*
 * The usage of the functions, counted while their bundles ran over a real DynamoDB engine (test/aws/cost.test.ts
 * measures it again and fails when it has changed). Units are those of the price list. Lambda's duration is a model:
 * the processor's time at the share of a core that the memory buys, and six milliseconds for each call of a service.
 */

/** One tick of the clock with three nodes, the average of an hour, with its part of a resync each twelve hours. */
const perTick: Usage = {
  writeUnits: 0.45,
  readUnits: 13.8,
  lambdaRequests: 1,
  lambdaGbSeconds: 0.0603,
  fifoRequests: 0.233,
};
/** One heartbeat of one agent. */
const perHeartbeat: Usage = { writeUnits: 1, lambdaRequests: 1, lambdaGbSeconds: 0.0075, socketMessages: 1 };
/** GB of a request's line in the audit log. */
const auditLine = 1e-6;
/** A read of one object by a known user. */
const perRead: Usage = { readUnits: 1, lambdaRequests: 1, lambdaGbSeconds: 0.0145, apiRequests: 1, logGb: auditLine };
/** A write of an object of 3 KB that wakes no controller. */
const perWrite: Usage = {
  writeUnits: 5,
  readUnits: 1.01,
  lambdaRequests: 1.63,
  lambdaGbSeconds: 0.0322,
  apiRequests: 1,
  logGb: auditLine,
};
/**
 * A new image for a Deployment of two replicas: the work and the requests of controllers, scheduler and agents until it
 * runs.
 */
const perRollout: Usage = {
  writeUnits: 368,
  readUnits: 945,
  lambdaRequests: 95,
  lambdaGbSeconds: 6.55,
  fifoRequests: 195,
  // With or without a wait, depending on timing.
  transitions: 0.5,
  apiRequests: 9,
  logGb: 9 * auditLine,
};

export const measured = { perTick, perHeartbeat, perRead, perWrite, perRollout };

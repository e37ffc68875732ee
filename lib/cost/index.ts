/**
 * The cost of a cluster in AWS: measured usage, fixed costs of the templates, and a price list. Pure: it calls no
 * service.
 */
export { type Bill, bill, type Line } from "./bill.ts";
export { type Load, usageOf } from "./estimate.ts";
export { fixedCosts, type Template } from "./fixed-costs.ts";
export { measured } from "./measured.ts";
export { type Item, type Price, prices, sum, times, type Usage } from "./prices.ts";

/**
 * What a cluster in AWS costs: usage that was measured, what stands in the templates, a price list. Pure: it asks no
 * account and knows no service.
 */
export { type Bill, bill, type Line } from "./bill.ts";
export { type Load, usageOf } from "./estimate.ts";
export { measured } from "./measured.ts";
export { type Item, type Price, prices, sum, times, type Usage } from "./prices.ts";
export { standing, type Template } from "./standing.ts";

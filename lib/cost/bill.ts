import { type Item, prices, type Usage } from "./prices.ts";

export interface Line {
  item: Item;
  what: string;
  units: number;
  dollars: number;
}

export interface Bill {
  lines: Line[];
  dollars: number;
}

/** Prices a month's usage; `freeTier` subtracts what is free in every account. Sorted by price, highest first. */
export function bill(usage: Usage, { freeTier }: { freeTier: boolean }): Bill {
  const lines = Object.entries(usage).map(([name, units]): Line => {
    const item = name as Item;
    const { what, dollars, per, ...rest } = prices[item] as (typeof prices)[Item] & { free?: number };
    const charged = freeTier ? Math.max(0, units - (rest.free ?? 0)) : units;
    return { item, what, units, dollars: (charged / per) * dollars };
  });
  lines.sort((a, b) => b.dollars - a.dollars);
  return { lines, dollars: lines.reduce((total, line) => total + line.dollars, 0) };
}

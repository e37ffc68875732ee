import type { TransactWriteItem } from "@aws-sdk/client-dynamodb";

const mostWrites = 50;
const mostItems = 100;
/** A transaction holds at most 4 MB, names and numbers included. */
const mostBytes = 3.5 * 1024 * 1024;

interface Batchable {
  items: TransactWriteItem[];
}

/** Splits writes, in order, into batches that fit one transaction each. */
export function transactionBatches<T extends Batchable>(writes: T[]): T[][] {
  const all: T[][] = [];
  let items = 0;
  let bytes = 0;
  for (const write of writes) {
    const size = write.items.reduce((sum, item) => sum + sizeOf(item), 0);
    const last = all.at(-1);
    const fits =
      last && last.length < mostWrites && items + write.items.length <= mostItems && bytes + size <= mostBytes;
    if (last && fits) last.push(write);
    else {
      all.push([write]);
      items = 0;
      bytes = 0;
    }
    items += write.items.length;
    bytes += size;
  }
  return all;
}

/** The approximate size of a write in a transaction: bodies, indexes and an allowance for the rest. */
function sizeOf({ Put }: TransactWriteItem): number {
  let size = 400;
  for (const value of Object.values(Put?.Item ?? {})) size += value.B?.length ?? value.S?.length ?? 8;
  return size;
}

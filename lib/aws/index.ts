/**
 * What every caller of AWS needs besides an SDK's client: the partitions with their domains, in one table, and
 * signatures. It sends nothing.
 */
export { hostOf, type Partition, partitionOf, partitions, stsHosts } from "./partitions.ts";
export { type Credentials, signatureV4 } from "./sign.ts";

/**
 * What every caller of AWS needs beside an SDK client: the partitions with their domains, in one table, and signatures.
 * It sends no request.
 */
export { hostOf, type Partition, partitionOf, partitions, stsHosts } from "./partitions.ts";
export { type Credentials, signatureV4 } from "./sign.ts";

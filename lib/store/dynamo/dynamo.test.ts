import { describe, it } from "vitest";
import { systemClock, systemRandom } from "#base";
import { storeConformance } from "#store/conformance";
import { dynamoClient, dynamoStore } from "#store/dynamo";
import { dynoxidePath, emulator, makeTables, startDynoxide } from "./testing/dynoxide.ts";

const open = async (endpoint: string, shards: number) =>
  dynamoStore({
    dynamo: dynamoClient(emulator(endpoint)),
    tables: await makeTables(endpoint),
    clock: systemClock,
    random: systemRandom,
    shards: () => shards,
    poll: 100,
  });

const engine = dynoxidePath();
describe.runIf(engine === undefined)(`dynamoStore without @dynoxide/${process.platform}-${process.arch}`, () => {
  it.skipIf(true)("is not run over the embedded engine, which has no package for this platform", () => {});
});
for (const shards of engine ? [1, 4] : [])
  storeConformance(`dynamoStore over dynoxide with ${shards} shards`, async () => {
    const { endpoint, stop } = await startDynoxide(engine!);
    return { store: await open(endpoint, shards), cleanUp: stop };
  });

const endpoint = process.env["AWS_ENDPOINT_URL"];
if (endpoint) storeConformance(`dynamoStore over ${endpoint}`, async () => ({ store: await open(endpoint, 2) }));

import { dynamo, objectsTable, takeFence } from "#hosts/aws";

/** Only the scheduler that took the fence last may bind pods. */
export const fence = (): Promise<() => Promise<void>> => takeFence(dynamo(), objectsTable());

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { CreateTableCommand, DynamoDBClient, waitUntilTableExists } from "@aws-sdk/client-dynamodb";
import { type TableDefinition, type TableNames, tables } from "../tables.ts";

/** The path of the embedded engine; undefined for platforms without a package. */
export function dynoxidePath(): string | undefined {
  const name = `@dynoxide/${process.platform}-${process.arch}`;
  try {
    const path = join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), "dynoxide");
    return existsSync(path) ? path : undefined;
  } catch {
    return undefined;
  }
}

export interface Engine {
  pid: number;
  endpoint: string;
  stop(): Promise<void>;
}

/** Starts the engine over a file, without the defect that makes every write to a streamed table scan all records. */
export async function startDynoxide(path: string): Promise<Engine> {
  const folder = mkdtempSync(join(tmpdir(), "skiff-dynoxide-"));
  const file = join(folder, "tables.db");
  const first = await serve(path, file);
  await first.stop();
  const database = new DatabaseSync(file);
  database.exec("CREATE INDEX ix ON _stream_records(table_name, CAST(sequence_number AS INTEGER))");
  database.close();
  const engine = await serve(path, file);
  const stop = async () => {
    await engine.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  return { ...engine, stop };
}

async function serve(path: string, file: string): Promise<Engine> {
  const port = await freePort();
  const child = spawn(path, ["--port", String(port), "--db-path", file], { stdio: "ignore" });
  const endpoint = `http://127.0.0.1:${port}`;
  await answering(child, endpoint);
  const stop = () =>
    new Promise<void>((resolve) => {
      child.once("close", () => resolve());
      child.kill("SIGTERM");
    });
  return { endpoint, stop, pid: child.pid! };
}

async function answering(child: ChildProcess, endpoint: string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (child.exitCode !== null) throw new Error(`dynoxide ended with ${child.exitCode}`);
    try {
      await fetch(endpoint);
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
  throw new Error("dynoxide does not answer");
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });

/** Credentials for an emulator, unless the environment has some. */
export const emulator = (endpoint: string) => ({
  endpoint,
  region: process.env["AWS_REGION"] ?? "us-east-1",
  credentials: {
    accessKeyId: process.env["AWS_ACCESS_KEY_ID"] ?? "local",
    secretAccessKey: process.env["AWS_SECRET_ACCESS_KEY"] ?? "local",
  },
});

/** Creates the store's two tables under unique names. */
export async function makeTables(endpoint: string): Promise<TableNames> {
  const client = new DynamoDBClient(emulator(endpoint));
  const suffix = crypto.randomUUID().slice(0, 8);
  const names = { objects: `objects-${suffix}`, changes: `changes-${suffix}` };
  await client.send(new CreateTableCommand(tableInput(names.objects, tables.objects)));
  await client.send(new CreateTableCommand(tableInput(names.changes, tables.changes)));
  for (const TableName of Object.values(names)) await waitUntilTableExists({ client, maxWaitTime: 60 }, { TableName });
  client.destroy();
  return names;
}

/** CreateTable of a definition. */
export const tableInput = (name: string, { partitionKey, sortKey, stream }: TableDefinition) => ({
  TableName: name,
  BillingMode: "PAY_PER_REQUEST" as const,
  AttributeDefinitions: [partitionKey, sortKey].map((key) => ({ AttributeName: key.name, AttributeType: key.type })),
  KeySchema: [
    { AttributeName: partitionKey.name, KeyType: "HASH" as const },
    { AttributeName: sortKey.name, KeyType: "RANGE" as const },
  ],
  ...(stream ? { StreamSpecification: { StreamEnabled: true, StreamViewType: stream } } : {}),
});

import * as grpc from "@grpc/grpc-js";
import protobuf from "protobufjs/minimal.js";
import { codeName } from "#agent/grpc";
import type { Probe } from "#api";
import { type CheckResult, failure, success } from "./result.ts";

/** grpc.health.v1.HealthCheckResponse.ServingStatus, by number. */
const statuses = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

const method = "/grpc.health.v1.Health/Check";
const encode = (service: string): Buffer => {
  const writer = protobuf.Writer.create();
  // A field with its default value is not written.
  if (service !== "") writer.uint32(10).string(service);
  return Buffer.from(writer.finish());
};

function decode(bytes: Buffer): number {
  const reader = protobuf.Reader.create(bytes);
  let status = 0;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === 8) status = reader.int32();
    else reader.skipType(tag & 7);
  }
  return status;
}

/** Calls the gRPC health service at this address. The texts of failures are those of upstream's pkg/probe/grpc. */
export async function grpcCheck(
  { port, service }: NonNullable<Probe["grpc"]>,
  ip: string,
  timeoutSeconds: number,
): Promise<CheckResult> {
  const address = `${ip.includes(":") ? `[${ip}]` : ip}:${port}`;
  const deadline = Date.now() + timeoutSeconds * 1000;
  const client = new grpc.Client(address, grpc.credentials.createInsecure(), {
    "grpc.primary_user_agent": "kube-probe/1.36",
    "grpc.enable_http_proxy": 0,
    // Each check opens its own connection.
    "grpc.use_local_subchannel_pool": 1,
    "grpc.initial_reconnect_backoff_ms": 100,
  });
  try {
    const isUp = await new Promise<boolean>((resolve) => client.waitForReady(deadline, (error) => resolve(!error)));
    if (!isUp) {
      const within = `within ${timeoutSeconds}s: context deadline exceeded`;
      return failure(`timeout: failed to connect service "${address}" ${within}`);
    }
    return await callHealth(client, service ?? "", { deadline, timeoutSeconds });
  } finally {
    client.close();
  }
}

const callHealth = (
  client: grpc.Client,
  service: string,
  { deadline, timeoutSeconds }: { deadline: number; timeoutSeconds: number },
): Promise<CheckResult> =>
  new Promise((resolve) => {
    client.makeUnaryRequest(method, encode, decode, service, { deadline }, (error, status) => {
      if (error) return resolve(failure(refusal(error, timeoutSeconds)));
      if (statuses[status ?? 0] === "SERVING") return resolve(success("service healthy"));
      resolve(failure(`service unhealthy (responded with "${statuses[status ?? 0] ?? status}")`));
    });
  });

function refusal({ code, details }: grpc.ServiceError, timeoutSeconds: number): string {
  if (code === grpc.status.UNIMPLEMENTED) {
    return `error: this server does not implement the grpc health protocol (grpc.health.v1.Health): ${details}`;
  }
  if (code === grpc.status.DEADLINE_EXCEEDED) return `timeout: health rpc did not complete within ${timeoutSeconds}s`;
  return `error: health rpc probe failed: rpc error: code = ${codeName(code)} desc = ${details}`;
}

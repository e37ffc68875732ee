import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { messageOf } from "#base";
import { type Check, type CheckContext, type ClientSettings, type Finding, type Status, unknown } from "./check.ts";
import { account, bootstrap, boundary, concurrency, loggingRole, streaming } from "./checks/account.ts";
import { names } from "./checks/names.ts";
import { publicAccess } from "./checks/public-access.ts";
import { instances, tasks } from "./checks/quotas.ts";
import { readDeployment } from "./deployment.ts";
import { hopeless, isDenied } from "./errors.ts";

export interface DoctorOptions {
  /** Folder of the cloud assembly. */
  templates: string;
  output: "text" | "json";
}

const checks: readonly Check[] = [
  account,
  bootstrap,
  names,
  concurrency,
  loggingRole,
  streaming,
  instances,
  tasks,
  boundary,
  publicAccess,
];

/** Replaced by tests: the endpoints of AWS. */
export type DoctorSettings = Pick<ClientSettings, "endpoint" | "credentials">;

interface Result extends Finding {
  check: string;
}

/**
 * Runs all checks and prints the results. Resolves with the exit code: 1 when a check failed. Throws an Error with one
 * line when there is no assembly, there are no credentials, or AWS cannot be reached.
 */
export async function doctor(
  { templates, output }: DoctorOptions,
  out: { write(text: string): unknown },
  settings: DoctorSettings = {},
): Promise<number> {
  const deployment = readDeployment(templates);
  const aws: ClientSettings = {
    region: deployment.region,
    maxAttempts: 2,
    requestHandler: { connectionTimeout: 3000, requestTimeout: 10_000, throwOnRequestTimeout: true },
    ...settings,
  };
  const context: CheckContext = { deployment, aws, account: await whose(aws) };
  const results = (await Promise.all(checks.map((check) => look(check, context)))).flat();
  const isFailed = results.some(({ status }) => status === "failed");
  if (output === "json") out.write(`${JSON.stringify({ ok: !isFailed, checks: results }, undefined, 2)}\n`);
  else for (const result of results) out.write(lineOf(result));
  return isFailed ? 1 : 0;
}

async function whose(aws: ClientSettings): Promise<string> {
  try {
    return (await new STSClient(aws).send(new GetCallerIdentityCommand())).Account ?? "";
  } catch (error) {
    throw new Error(
      hopeless(error) ?? `AWS does not say whose the credentials are: ${messageOf(error).split("\n")[0]}`,
    );
  }
}

async function look(check: Check, context: CheckContext): Promise<Result[]> {
  const { name, asks } = check;
  const found = await check.run(context).catch((error: unknown): Finding[] => {
    if (isDenied(error)) return [unknown(`not allowed to ask (${actionOf(error, asks)})`)];
    return [unknown(`could not be checked: ${hopeless(error) ?? messageOf(error).split("\n")[0]}`)];
  });
  return found.map((finding) => ({ check: name, ...finding }));
}

/** The action that AWS denied, from its message if that names one. */
const actionOf = (error: unknown, asks: readonly string[]): string =>
  /not authorized to perform: ([\w-]+:\w+)/.exec(messageOf(error))?.[1] ?? asks.join(", ");

const marks: Record<Status, string> = { ok: "ok     ", warning: "warning", failed: "FAILED ", unknown: "unknown" };

const lineOf = ({ check, status, says, todo }: Result): string =>
  `${marks[status]}  ${check}: ${says}${todo === undefined ? "" : ` -> ${todo}`}\n`;

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import {
  CloudFormationClient,
  DescribeStackResourcesCommand,
  DescribeStacksCommand,
} from "@aws-sdk/client-cloudformation";
import { CreateBucketCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { type Placed, Resolver, type Template } from "#infra";

/*
 * moto (https://docs.getmoto.org), which simulates many services of AWS with validation of its own, as a second check
 * of the templates. Its CloudFormation cannot hold the whole stacks, since it does not know some types that others
 * refer to; so each resource is a stack of its own, and references to it get moto's values.
 */

/** The program in SKIFF_MOTO; undefined when the variable is not set, or the program does not exist. */
export function motoServer(): string | undefined {
  const program = process.env["SKIFF_MOTO"];
  return program && spawnSync(program, ["--help"]).status === 0 ? program : undefined;
}

export interface Moto {
  endpoint: string;
  stop(): Promise<void>;
}

export async function startMoto(program: string): Promise<Moto> {
  const port = await freePort();
  const child: ChildProcess = spawn(program, ["-H", "127.0.0.1", "-p", String(port)], { stdio: "ignore" });
  const endpoint = `http://127.0.0.1:${port}`;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}`);
    const answer = await fetch(`${endpoint}/moto-api/`).catch(() => undefined);
    if (answer?.ok) break;
    await new Promise((done) => setTimeout(done, 100));
  }
  return {
    endpoint,
    async stop() {
      const gone = once(child, "exit");
      child.kill("SIGTERM");
      await gone;
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

export type Opinion =
  | { kind: "made" }
  /** moto does not know the type. */
  | { kind: "not known" }
  | { kind: "refused"; why: string };

const account = "123456789012";
const region = "eu-west-1";
/** moto reads an access key of twelve digits as the account. */
const credentials = { accessKeyId: account, secretAccessKey: "moto" };

/** moto's result for each resource, by its type and logical id. */
export async function opinions(
  endpoint: string,
  templates: Readonly<Record<string, Template>>,
): Promise<Map<Placed, Opinion>> {
  const client = new CloudFormationClient({ endpoint, region, credentials, maxAttempts: 1 });
  const said = new Map<Placed, Opinion>();
  const known = new Map<string, string>();
  const keyOf = ({ stack, logicalId }: Placed, attribute: string) => `${stack}/${logicalId}.${attribute}`;
  /** The resources and attributes that a resolution has read. */
  let asked: [Placed, string][] = [];
  const from = new Resolver(templates, {
    account,
    region,
    override: (resource, attribute) => {
      asked.push([resource, attribute]);
      return known.get(keyOf(resource, attribute));
    },
  });
  const wanted = new Map<Placed, Set<string>>();
  const uses = new Map<Placed, Placed[]>();
  for (const resource of from.resources) {
    asked = [];
    from.resolve(resource.stack, resource.properties);
    const { DependsOn = [] } = templates[resource.stack]?.Resources[resource.logicalId] ?? {};
    const after = from.resources.filter(
      ({ stack, logicalId }) => stack === resource.stack && [DependsOn].flat().includes(logicalId),
    );
    uses.set(resource, [...new Set([...asked.map(([used]) => used), ...after])]);
    for (const [used, attribute] of asked) wanted.set(used, (wanted.get(used) ?? new Set()).add(attribute));
  }
  await makeAssets(
    endpoint,
    from.resources.map(({ stack, properties }) => from.resolve(stack, properties)),
  );
  const make = async (resource: Placed): Promise<void> => {
    if (said.has(resource)) return;
    said.set(resource, { kind: "not known" });
    for (const used of uses.get(resource) ?? []) await make(used);
    const properties = adapted(resource, from.resolve(resource.stack, resource.properties) as Record<string, unknown>);
    const { opinion, attributes } = await alone(client, endpoint, { ...resource, properties }, wanted.get(resource));
    said.set(resource, opinion);
    for (const [name, value] of attributes) known.set(keyOf(resource, name), value);
  };
  for (const resource of from.resources) await make(resource);
  return said;
}

/** Differences of moto and the resolver from CloudFormation. */
function adapted({ type, logicalId }: Placed, properties: Record<string, unknown>): Record<string, unknown> {
  // CloudFormation appends `.fifo` to the generated name of a FIFO queue; moto generates one that SQS rejects.
  if (type === "AWS::SQS::Queue" && properties["FifoQueue"] === true)
    return { QueueName: `${logicalId}.fifo`, ...properties };
  // A rule for all protocols has no ports, and moto requires them.
  if (type === "AWS::EC2::SecurityGroup") {
    const rules = (list: unknown) =>
      (list as object[] | undefined)?.map((rule) => ({ FromPort: -1, ToPort: -1, ...rule }));
    const { SecurityGroupIngress, SecurityGroupEgress } = properties;
    return {
      ...properties,
      ...(SecurityGroupIngress ? { SecurityGroupIngress: rules(SecurityGroupIngress) } : {}),
      ...(SecurityGroupEgress ? { SecurityGroupEgress: rules(SecurityGroupEgress) } : {}),
    };
  }
  const { LaunchTemplateData: data } = properties as { LaunchTemplateData?: { UserData?: string } };
  if (data?.UserData === undefined) return properties;
  // The resolver leaves text readable.
  return { ...properties, LaunchTemplateData: { ...data, UserData: Buffer.from(data.UserData).toString("base64") } };
}

/** One resource as a stack of its own, with the attributes that others need. */
async function alone(
  client: CloudFormationClient,
  endpoint: string,
  { stack, logicalId, type, properties }: Placed,
  attributes: ReadonlySet<string> = new Set(),
): Promise<{ opinion: Opinion; attributes: [string, string][] }> {
  // Short: CloudFormation derives names from it.
  const StackName = `s${createHash("sha256").update(`${stack}/${logicalId}`).digest("hex").slice(0, 12)}`;
  const Resources = { [logicalId]: { Type: type, Properties: properties } };
  const why = await create(endpoint, StackName, { Resources });
  if (why !== undefined) return { opinion: { kind: "refused", why }, attributes: [] };
  const { StackResources = [] } = await client.send(new DescribeStackResourcesCommand({ StackName }));
  const [{ LogicalResourceId, PhysicalResourceId } = {}] = StackResources;
  if (LogicalResourceId === undefined) return { opinion: { kind: "not known" }, attributes: [] };
  const known: [string, string][] = PhysicalResourceId === undefined ? [] : [["Ref", PhysicalResourceId]];
  const names = [...attributes].filter((name) => name !== "Ref");
  if (names.length === 0) return { opinion: { kind: "made" }, attributes: known };
  // Created again with outputs: attributes that moto does not know are not its verdict on the resource.
  const Outputs = Object.fromEntries(
    names.map((name, at) => [`o${at}`, { Value: { "Fn::GetAtt": [logicalId, name] } }]),
  );
  const again = `${StackName}-again`;
  if ((await create(endpoint, again, { Resources, Outputs })) !== undefined)
    return { opinion: { kind: "made" }, attributes: known };
  const { Stacks = [] } = await client.send(new DescribeStacksCommand({ StackName: again }));
  const outputs = new Map(Stacks[0]?.Outputs?.map(({ OutputKey, OutputValue = "" }) => [OutputKey, OutputValue]));
  const more = names.flatMap((name, at): [string, string][] => {
    const value = outputs.get(`o${at}`);
    return value ? [[name, value]] : [];
  });
  // All of one and the same resource.
  const { StackResources: second = [] } = await client.send(new DescribeStackResourcesCommand({ StackName: again }));
  const id = second[0]?.PhysicalResourceId;
  return {
    opinion: { kind: "made" },
    attributes: [...(id === undefined ? known : [["Ref", id] as [string, string]]), ...more],
  };
}

/** Creates a stack. Returns why it was rejected, in any of moto's forms: some errors are the service's, not XML. */
async function create(endpoint: string, StackName: string, template: object): Promise<string | undefined> {
  const scope = `${account}/20300101/${region}/cloudformation/aws4_request`;
  const body = new URLSearchParams({
    Action: "CreateStack",
    Version: "2010-05-15",
    StackName,
    TemplateBody: JSON.stringify(template),
    "Capabilities.member.1": "CAPABILITY_NAMED_IAM",
  });
  const authorization = `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=moto`;
  const answer = await fetch(endpoint, { method: "POST", body, headers: { authorization } });
  if (answer.ok) return undefined;
  const text = await answer.text();
  if (answer.status >= 500)
    return `moto fails: ${text
      .replace(/<[^>]*>|\s+/g, " ")
      .trim()
      .slice(0, 200)}`;
  const [, xml, json] = /<Message>([^<]*)|"message": *"((?:[^"\\]|\\.)*)/i.exec(text) ?? [];
  return xml ?? json ?? text.slice(0, 200);
}

/** The buckets and objects of the code in the template. */
async function makeAssets(endpoint: string, all: readonly unknown[]): Promise<void> {
  const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true });
  const code = all.flatMap((properties) => {
    const { S3Bucket, S3Key } = ((properties as { Code?: object }).Code ?? {}) as { S3Bucket?: string; S3Key?: string };
    return S3Bucket && S3Key ? [{ Bucket: S3Bucket, Key: S3Key }] : [];
  });
  for (const Bucket of new Set(code.map((one) => one.Bucket))) {
    await client.send(new CreateBucketCommand({ Bucket, CreateBucketConfiguration: { LocationConstraint: region } }));
  }
  for (const object of code) await client.send(new PutObjectCommand({ ...object, Body: emptyZip }));
  client.destroy();
}

/** An empty archive: its end record alone. */
const emptyZip = Buffer.from("504b0506000000000000000000000000000000000000", "hex");

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
 * moto (https://docs.getmoto.org), which plays many services of AWS with validation of its own, as a second opinion on
 * the templates. Its CloudFormation cannot hold whole stacks of ours, since it does not know some types that others
 * refer to; so each resource is a stack by itself, and what refers to it gets what moto says of it.
 */

/** The program that SKIFF_MOTO names; undefined when it names none, or one that is not there. */
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
  /** moto has no such type. */
  | { kind: "not known" }
  | { kind: "refused"; why: string };

const account = "123456789012";
const region = "eu-west-1";
/** moto takes an access key of twelve digits for the account. */
const credentials = { accessKeyId: account, secretAccessKey: "moto" };

/** What moto says of each resource, by its type and logical id. */
export async function opinions(
  endpoint: string,
  templates: Readonly<Record<string, Template>>,
): Promise<Map<Placed, Opinion>> {
  const client = new CloudFormationClient({ endpoint, region, credentials, maxAttempts: 1 });
  const said = new Map<Placed, Opinion>();
  const known = new Map<string, string>();
  const keyOf = ({ stack, logicalId }: Placed, attribute: string) => `${stack}/${logicalId}.${attribute}`;
  /** What is asked of which resource while something is resolved. */
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

/** What neither moto nor the resolver does as CloudFormation would. */
function adapted({ type, logicalId }: Placed, properties: Record<string, unknown>): Record<string, unknown> {
  // CloudFormation gives a FIFO queue without a name one that ends in `.fifo`; moto gives it one that SQS refuses.
  if (type === "AWS::SQS::Queue" && properties["FifoQueue"] === true)
    return { QueueName: `${logicalId}.fifo`, ...properties };
  // Of all protocols there are no ports, and moto asks for them.
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

/** One resource as a stack of its own, with what others want to know of it. */
async function alone(
  client: CloudFormationClient,
  endpoint: string,
  { stack, logicalId, type, properties }: Placed,
  attributes: ReadonlySet<string> = new Set(),
): Promise<{ opinion: Opinion; attributes: [string, string][] }> {
  // Short: names that CloudFormation makes up are made of it.
  const StackName = `s${createHash("sha256").update(`${stack}/${logicalId}`).digest("hex").slice(0, 12)}`;
  const Resources = { [logicalId]: { Type: type, Properties: properties } };
  const why = await create(endpoint, StackName, { Resources });
  if (why !== undefined) return { opinion: { kind: "refused", why }, attributes: [] };
  const { StackResources = [] } = await client.send(new DescribeStackResourcesCommand({ StackName }));
  const [{ LogicalResourceId, PhysicalResourceId } = {}] = StackResources;
  if (LogicalResourceId === undefined) return { opinion: { kind: "not known" }, attributes: [] };
  const told: [string, string][] = PhysicalResourceId === undefined ? [] : [["Ref", PhysicalResourceId]];
  const names = [...attributes].filter((name) => name !== "Ref");
  if (names.length === 0) return { opinion: { kind: "made" }, attributes: told };
  // Once more with outputs: what moto cannot say of a resource is no opinion on it.
  const Outputs = Object.fromEntries(
    names.map((name, at) => [`o${at}`, { Value: { "Fn::GetAtt": [logicalId, name] } }]),
  );
  const again = `${StackName}-again`;
  if ((await create(endpoint, again, { Resources, Outputs })) !== undefined)
    return { opinion: { kind: "made" }, attributes: told };
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
    attributes: [...(id === undefined ? told : [["Ref", id] as [string, string]]), ...more],
  };
}

/** Makes a stack. Tells why it was refused, in whatever form moto says so: some errors are the service's, not XML. */
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

/** The buckets and objects that code is said to be in. */
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

/** An archive with nothing in it: its end record alone. */
const emptyZip = Buffer.from("504b0506000000000000000000000000000000000000", "hex");

import { expect } from "vitest";
import { type Placed, Resolver, readTemplates } from "#infra";
import { builtOnce } from "../built-once.ts";
import { region } from "../principals.ts";
import { account } from "./ground.ts";

/*
 * The callers of a function, read from the synthesized templates: its resource policy, roles that may invoke it, and
 * event sources that Lambda polls with its own role.
 */

interface Statement {
  Effect: string;
  Action: string | string[];
  Resource?: string | string[];
  Principal?: unknown;
  Condition?: unknown;
}
// biome-ignore lint/suspicious/noExplicitAny: templates have no types
type Any = any;

export interface Doors {
  /** Services that may call it, each with the one resource of this account for which it may. */
  callers: { principal: string; source: string }[];
  /** Roles of the cluster that may call it, by their construct, with their trust policies. */
  roles: { role: string; of: unknown }[];
  /** ARNs that Lambda reads for it. */
  mapped: string[];
  /** ARNs of queues and streams that its role may read. */
  readable: string[];
}

export interface QueueDoors {
  /** Roles that may send, by their constructs. */
  senders: string[];
  /** The statements of its own policy for principals that are not roles of this account. */
  allowed: Statement[];
}

const list = <T>(value: T | T[] | undefined): T[] =>
  value === undefined ? [] : Array.isArray(value) ? value : [value];
const fits = (pattern: string, text: string): boolean =>
  new RegExp(`^${pattern.split("*").map(RegExp.escape).join(".*")}$`).test(text);
const nameOf = (logicalId: string): string => logicalId.replace(/(Role)?[0-9A-F]{8}$/, "");

/** The templates with every reference as it would be. */
function resolved() {
  const templates = readTemplates(builtOnce().assembly);
  const resolver = new Resolver(templates, { account, region });
  const { resources } = resolver;
  const all = (...types: string[]) =>
    resources
      .filter(({ type }) => types.includes(type))
      .map((one) => ({ ...one, properties: resolver.resolve(one.stack, one.properties) as Any }));
  return { resources, all, attribute: (one: Placed, name: string) => resolver.attribute(one, name) };
}

const statementsOf = ({ type, properties }: Placed & { properties: Any }): Statement[] =>
  type === "AWS::IAM::Role"
    ? list(properties.Policies).flatMap(({ PolicyDocument }: Any) => PolicyDocument.Statement)
    : properties.PolicyDocument.Statement;

/** Constructs of the roles that may perform an action on a resource. */
export const mayDo = (action: string, arn: string): string[] =>
  allowedTo(action, arn)
    .map(({ logicalId }) => nameOf(logicalId))
    .sort();

function allowedTo(action: string, arn: string) {
  const { all } = resolved();
  return all("AWS::IAM::Role", "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy").filter((one) =>
    statementsOf(one).some(
      ({ Effect, Action, Resource }) =>
        Effect === "Allow" &&
        list(Action).some((pattern) => fits(pattern, action)) &&
        list(Resource).some((pattern) => fits(pattern, arn)),
    ),
  );
}

/** All callers of a function. Asserts that each service is restricted to a resource of this account. */
export function doorsOf(name: string): Doors {
  const { all, resources, attribute } = resolved();
  const own = builtOnce().wiring.functions.find((one) => one.name === name)!;
  const permissions = all("AWS::Lambda::Permission").filter(({ properties }) =>
    properties.FunctionName.includes(own.arn),
  );
  const callers = permissions.map(({ properties: { Principal, SourceArn, Action } }) => {
    expect(Action).toBe("lambda:InvokeFunction");
    // A service on behalf of another account is not a caller.
    expect(SourceArn).toContain(`:${account}:`);
    return { principal: Principal, source: SourceArn };
  });
  // Addresses of their own, and names beside a function's own with policies of their own.
  const more = ["AWS::Lambda::Url", "AWS::Lambda::Alias", "AWS::Lambda::Version"];
  expect(resources.filter(({ type }) => more.includes(type))).toEqual([]);
  const role = all("AWS::Lambda::Function").find((one) => attribute(one, "Arn") === own.arn)!.properties.Role;
  const reads = /^(sqs:ReceiveMessage|dynamodb:GetRecords|kinesis:.*|kafka:.*)$/;
  const readable = all("AWS::IAM::Role")
    .filter((one) => attribute(one, "Arn") === role)
    .flatMap(statementsOf)
    .filter(({ Action }) => list(Action).some((action) => reads.test(action)))
    .flatMap(({ Resource }) => list(Resource));
  return {
    callers,
    roles: allowedTo("lambda:InvokeFunction", own.arn).map(({ logicalId, properties }) => ({
      role: nameOf(logicalId),
      of: properties.AssumeRolePolicyDocument?.Statement.map(({ Principal }: Statement) => Principal),
    })),
    mapped: all("AWS::Lambda::EventSourceMapping").flatMap(({ properties }) =>
      fits(properties.FunctionName, own.functionName) ? [properties.EventSourceArn] : [],
    ),
    readable,
  };
}

/** The roles that may send to a queue. */
export function queueDoorsOf(arn: string): QueueDoors {
  const { all } = resolved();
  const policies = all("AWS::SQS::QueuePolicy").flatMap(({ properties }) => properties.PolicyDocument.Statement);
  return {
    senders: mayDo("sqs:SendMessage", arn),
    allowed: policies.filter(({ Effect, Resource }: Statement) => Effect === "Allow" && list(Resource).includes(arn)),
  };
}

/** The ARN of the queue in this variable of a function. */
export function queueOf(variable: string): string {
  const { functions, queues } = builtOnce().wiring;
  const url = functions.find(({ environment }) => environment[variable])!.environment[variable];
  return queues.find((one) => one.url === url)!.arn;
}

/** A function that writes objects enqueues the keys that they concern. */
export const writers = ["Api", "Bootstrap", "Fargate", "Link", "Reconcile", "Schedule", "Stream", "Tick", "Wait"];

/** The ARN of an event rule by its construct. */
export function ruleArn(id: string): string {
  const { all, attribute } = resolved();
  return attribute(all("AWS::Events::Rule").find(({ logicalId }) => nameOf(logicalId) === id)!, "Arn");
}

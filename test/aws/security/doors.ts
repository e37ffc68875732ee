import { expect } from "vitest";
import { type Placed, Resolver, readTemplates } from "#infra";
import { builtOnce } from "../built-once.ts";
import { region } from "../people.ts";
import { account } from "./ground.ts";

/*
 * Who can reach a function, read from the synthesized templates: its resource policy, roles that may call it, and what
 * Lambda reads for it with its own role.
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
  /** Services that may call it, each with the one thing of this account for which it may. */
  callers: { principal: string; source: string }[];
  /** Roles of the cluster that may call it, by their construct, with who may take them. */
  roles: { role: string; of: unknown }[];
  /** ARNs that Lambda reads for it. */
  mapped: string[];
  /** ARNs of queues and streams that its role may read. */
  readable: string[];
}

export interface QueueDoors {
  /** Roles that may send, by their constructs. */
  senders: string[];
  /** What its own policy allows to whoever is not of this account's roles. */
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

/** Constructs of the roles that may do something to something. */
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

/** Everything that can call a function. Asserts that each service is held to something of this account. */
export function doorsOf(name: string): Doors {
  const { all, resources, attribute } = resolved();
  const own = builtOnce().wiring.functions.find((one) => one.name === name)!;
  const permissions = all("AWS::Lambda::Permission").filter(({ properties }) =>
    properties.FunctionName.includes(own.arn),
  );
  const callers = permissions.map(({ properties: { Principal, SourceArn, Action } }) => {
    expect(Action).toBe("lambda:InvokeFunction");
    // A service that somebody of another account has sent is no caller.
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

/** Who may put something into a queue. */
export function queueDoorsOf(arn: string): QueueDoors {
  const { all } = resolved();
  const policies = all("AWS::SQS::QueuePolicy").flatMap(({ properties }) => properties.PolicyDocument.Statement);
  return {
    senders: mayDo("sqs:SendMessage", arn),
    allowed: policies.filter(({ Effect, Resource }: Statement) => Effect === "Allow" && list(Resource).includes(arn)),
  };
}

/** The ARN of the queue that a function is told of by this variable. */
export function queueOf(variable: string): string {
  const { functions, queues } = builtOnce().wiring;
  const url = functions.find(({ environment }) => environment[variable])!.environment[variable];
  return queues.find((one) => one.url === url)!.arn;
}

/** Whoever writes objects wakes those who wait for them. */
export const writers = ["Api", "Bootstrap", "Fargate", "Link", "Reconcile", "Schedule", "Stream", "Tick", "Wait"];

/** The ARN of an event rule by its construct. */
export function ruleArn(id: string): string {
  const { all, attribute } = resolved();
  return attribute(all("AWS::Events::Rule").find(({ logicalId }) => nameOf(logicalId) === id)!, "Arn");
}

import { ec2Actions } from "./ec2.ts";
import { elbActions } from "./elb.ts";
import type { Answer } from "./front.ts";
import { isEc2 } from "./front.ts";
import { type Input, QueryError, readQuery, writeXml } from "./query.ts";
import type { NetworkOptions, State, Tags } from "./state.ts";

export interface AwsNetwork {
  state: State;
  handle(body: string): Answer;
  addInstance(tags?: Tags): string;
  removeInstance(id: string): void;
  /** Completes everything that is in progress. */
  settle(): void;
}

export function awsNetwork(options: NetworkOptions): AwsNetwork {
  const state: State = {
    options,
    balancers: [],
    groups: [],
    listeners: [],
    securityGroups: [{ id: options.securityGroup, name: "balancers", vpc: options.vpc, tags: {}, rules: new Set() }],
    instances: new Map(),
    routes: new Map(options.routeTables.map((id) => [id, new Map()])),
    serial: 0,
  };
  const elb = elbActions(state);
  const ec2 = ec2Actions(state);
  return {
    state,
    handle(body) {
      const input = readQuery(body);
      const action = String(input["Action"]);
      const isOfEc2 = isEc2(body);
      try {
        const run = (isOfEc2 ? ec2 : elb)[action];
        if (!run) throw new QueryError("InvalidAction", `${action} is not implemented here`);
        const result = run(input);
        return { status: 200, body: isOfEc2 ? ec2Answer(action, result) : elbAnswer(action, result) };
      } catch (error) {
        if (!(error instanceof QueryError)) throw error;
        return { status: 400, body: isOfEc2 ? ec2Error(error) : elbError(error) };
      }
    },
    addInstance(tags = { "skiff:cluster": options.cluster }) {
      const id = `i-${String(++state.serial).padStart(17, "0")}`;
      state.instances.set(id, { id, vpc: options.vpc, running: true, check: true, tags });
      return id;
    },
    removeInstance(id) {
      state.instances.get(id)!.running = false;
    },
    settle() {
      state.balancers = state.balancers.filter((one) => one.state !== "lingering");
      for (const one of state.balancers) one.state = one.state === "going" ? "lingering" : "active";
      for (const { targets } of state.groups) for (const [id, is] of targets) if (is === "draining") targets.delete(id);
    },
  };
}

const ec2Answer = (action: string, result: Input): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<${action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">` +
  `<requestId>r</requestId>${writeXml(result, "item")}</${action}Response>`;
const elbAnswer = (action: string, result: Input): string =>
  `<${action}Response xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"><${action}Result>` +
  `${writeXml(result, "member")}</${action}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>` +
  `</${action}Response>`;
const ec2Error = ({ name, message }: Error): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error>${writeXml({ Code: name, Message: message }, "")}` +
  "</Error></Errors><RequestID>r</RequestID></Response>";
const elbError = ({ name, message }: Error): string =>
  `<ErrorResponse><Error><Type>Sender</Type>${writeXml({ Code: name, Message: message }, "")}</Error>` +
  "<RequestId>r</RequestId></ErrorResponse>";

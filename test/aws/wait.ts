import { type Service, ServiceError } from "./cloud.ts";

/** A state machine as the template defines it. */
export interface Definition {
  StartAt: string;
  // biome-ignore lint/suspicious/noExplicitAny: states have as many forms as the language has types
  States: Record<string, any>;
}

export interface MachineOptions {
  arn: string;
  definition: Definition;
  /** Carries out a service integration, by its resource. */
  integrate: (resource: string, parameters: Record<string, unknown>) => Promise<unknown>;
  now: () => number;
  /** Resolves at a moment, in milliseconds since the epoch. */
  until: (moment: number) => Promise<void>;
  /** Called with failed executions. */
  failed: (error: unknown) => void;
}

/**
 * Step Functions, as far as one machine: names are never reused; starting a running execution again with the same input
 * has no effect, starting an ended one fails. Supports Wait with a timestamp, Task, Pass, Succeed and Fail; every other
 * state is an error.
 */
export function stepFunctions(options: MachineOptions): Service & { transitions: number; running: number } {
  const executions = new Map<string, { input: string; done: boolean }>();
  const counters = { transitions: 0, running: 0 };
  const run = async (name: string, input: string): Promise<void> => {
    const execution = { input, done: false };
    executions.set(name, execution);
    counters.running++;
    try {
      await walk(options, JSON.parse(input), () => counters.transitions++);
    } catch (error) {
      options.failed(error);
    } finally {
      execution.done = true;
      counters.running--;
    }
  };
  const service: Service = async (action, { stateMachineArn, name, input }) => {
    if (action !== "StartExecution") throw new ServiceError("UnknownOperationException");
    if (stateMachineArn !== options.arn) throw new ServiceError("StateMachineDoesNotExist");
    if (typeof name !== "string" || !/^[\w-]{1,80}$/.test(name)) throw new ServiceError("InvalidName");
    const known = executions.get(name);
    if (known && (known.done || known.input !== input)) throw new ServiceError("ExecutionAlreadyExists");
    if (!known) void run(name, String(input));
    return { executionArn: `${options.arn}:${name}`, startDate: options.now() / 1000 };
  };
  return Object.defineProperties(service as Service & { transitions: number; running: number }, {
    transitions: { get: () => counters.transitions },
    running: { get: () => counters.running },
  });
}

async function walk(options: MachineOptions, input: unknown, step: () => void): Promise<void> {
  const { definition, integrate, until } = options;
  for (let name: string | undefined = definition.StartAt; name !== undefined; ) {
    // biome-ignore lint/suspicious/noExplicitAny: as above
    const state: any = definition.States[name];
    step();
    if (state.Type === "Wait") await until(Date.parse(String(at(input, state.TimestampPath))));
    else if (state.Type === "Task")
      await retried(state, () => integrate(state.Resource, filled(state.Parameters, input)));
    else if (state.Type === "Fail") throw new Error(state.Error);
    else if (state.Type !== "Pass" && state.Type !== "Succeed") throw new Error(`a state of type ${state.Type}`);
    name = state.End ? undefined : state.Next;
  }
}

// biome-ignore lint/suspicious/noExplicitAny: as above
async function retried(state: any, run: () => Promise<unknown>): Promise<void> {
  const most = state.Retry?.[0]?.MaxAttempts ?? 0;
  for (let attempt = 0; ; attempt++) {
    try {
      await run();
      return;
    } catch (error) {
      if (attempt >= most) throw error;
    }
  }
}

/** `$.a` of the input. */
function at(input: unknown, path: string): unknown {
  const found = path === "$" ? input : (input as Record<string, unknown>)[path.replace(/^\$\./, "")];
  if (found === undefined) throw new Error(`the input has no ${path}`);
  return found;
}

/** Parameters with the members whose name ends in `.$` replaced from the input. */
const filled = (parameters: Record<string, unknown>, input: unknown): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(parameters).map(([name, value]) =>
      name.endsWith(".$") ? [name.slice(0, -2), at(input, String(value))] : [name, value],
    ),
  );

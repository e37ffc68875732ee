import { commands } from "./commands.ts";
import { FileError } from "./files.ts";
import { type Node, parseShell, type Redirect, ShellSyntaxError, type Word } from "./parse.ts";
import { Killed, type Process } from "./process.ts";

class Exit {
  readonly code: number;
  constructor(code: number) {
    this.code = code;
  }
}

/**
 * Runs a command line to its end and resolves with its exit code. An unknown program is refused by name with 127, as
 * in a shell. Throws Killed when the signal aborts.
 */
export async function execute(process: Process): Promise<number> {
  const name = process.args[0] ?? "";
  const base = name.slice(name.lastIndexOf("/") + 1);
  if (base === "sh" || base === "bash" || base === "ash") return runShell(process);
  const command = commands[base];
  if (!command) {
    process.stderr(Buffer.from(`exec: "${name}": not in this runtime, which runs no real programs\n`));
    return 127;
  }
  try {
    return await command(process);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    process.stderr(Buffer.from(`${base}: ${error.message}\n`));
    return 1;
  }
}

async function runShell(process: Process): Promise<number> {
  const flags = process.args.slice(1).filter((arg) => /^-[a-z]+$/.test(arg));
  const rest = process.args.slice(1).filter((arg) => !/^-[a-z]+$/.test(arg));
  let script: string | undefined;
  let positional = rest;
  if (flags.some((flag) => flag.includes("c"))) {
    script = rest[0] ?? "";
    positional = rest.slice(1);
  } else if (rest[0] !== undefined) {
    script = Buffer.from(process.files.read(rest[0], process.cwd)).toString();
  }
  const shell: Shell = { process, variables: { ...process.env }, positional, last: 0, cwd: process.cwd };
  if (script !== undefined) return runScript(shell, script, flags);
  // An interactive shell reads one line at a time, until its input ends.
  for await (const line of linesOf(process.stdin)) {
    const code = await runScript(shell, line, flags, true);
    if (code >= 0) return code;
  }
  return shell.last;
}

async function* linesOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of bytes) {
    const lines = (rest + Buffer.from(chunk).toString()).split(/\r?\n|\r/);
    rest = lines.pop() ?? "";
    yield* lines;
  }
  if (rest !== "") yield rest;
}

interface Shell {
  process: Process;
  variables: Record<string, string>;
  positional: string[];
  last: number;
  cwd: string;
}

interface Streams {
  stdin: AsyncIterable<Uint8Array>;
  stdout: (bytes: Uint8Array) => void;
  stderr: (bytes: Uint8Array) => void;
}

/** The exit code; with `interactive` -1 unless the script calls `exit`. */
async function runScript(shell: Shell, script: string, flags: string[], interactive = false): Promise<number> {
  try {
    const tree = parseShell(script);
    const stopAtFailure = flags.some((flag) => flag.includes("e"));
    shell.last = await run(shell, tree, shell.process, stopAtFailure);
    return interactive ? -1 : shell.last;
  } catch (error) {
    if (error instanceof Exit) return error.code;
    if (!(error instanceof ShellSyntaxError)) throw error;
    shell.process.stderr(Buffer.from(`sh: ${error.message}\n`));
    shell.last = 2;
    return interactive ? -1 : 2;
  }
}

async function run(shell: Shell, node: Node, streams: Streams, strict = false): Promise<number> {
  if (shell.process.signal.aborted) throw new Killed();
  const set = (code: number): number => {
    shell.last = code;
    return code;
  };
  switch (node.kind) {
    case "simple": {
      const code = set(await runSimple(shell, node, streams));
      if (strict && code !== 0) throw new Exit(code);
      return code;
    }
    case "then":
      await run(shell, node.left, streams, strict);
      return run(shell, node.right, streams, strict);
    case "and":
      return (await run(shell, node.left, streams)) === 0 ? run(shell, node.right, streams, strict) : shell.last;
    case "or":
      return (await run(shell, node.left, streams)) === 0 ? 0 : run(shell, node.right, streams, strict);
    case "not":
      return set((await run(shell, node.body, streams)) === 0 ? 1 : 0);
    case "if":
      if ((await run(shell, node.condition, streams)) === 0) return run(shell, node.body, streams, strict);
      return node.otherwise ? run(shell, node.otherwise, streams, strict) : set(0);
    case "loop":
      for (let round = 0; ((await run(shell, node.condition, streams)) === 0) !== node.until; round++) {
        await run(shell, node.body, streams, strict);
        // Yields to other work, even in a loop that never sleeps.
        if (round % 64 === 63) await new Promise(setImmediate);
      }
      return set(0);
    case "for": {
      for (const value of (await Promise.all(node.words.map((word) => expand(shell, word, streams)))).flat()) {
        shell.variables[node.name] = value;
        await run(shell, node.body, streams, strict);
      }
      return shell.last;
    }
    case "pipe":
      return set(await runPipe(shell, node.parts, streams));
  }
}

/** Each part runs to its end before the next one starts; endless parts are not supported. */
async function runPipe(shell: Shell, parts: Node[], streams: Streams): Promise<number> {
  let input = streams.stdin;
  let code = 0;
  for (const [index, part] of parts.entries()) {
    const output: Uint8Array[] = [];
    const last = index === parts.length - 1;
    const stdout = last ? streams.stdout : (bytes: Uint8Array) => output.push(bytes);
    code = await run(shell, part, { ...streams, stdin: input, stdout });
    input = oneChunk(Buffer.concat(output));
  }
  return code;
}

export async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.length > 0) yield bytes;
}

async function runSimple(shell: Shell, node: Node & { kind: "simple" }, streams: Streams): Promise<number> {
  const assigned: Record<string, string> = {};
  for (const { name, value } of node.assignments) assigned[name] = (await expand(shell, value, streams)).join(" ");
  const args: string[] = [];
  for (const word of node.words) args.push(...(await expand(shell, word, streams)));
  if (args.length === 0) {
    Object.assign(shell.variables, assigned);
    return 0;
  }
  let redirected: Streams;
  try {
    redirected = await redirect(shell, node.redirects, streams);
  } catch (error) {
    streams.stderr(Buffer.from(`sh: ${(error as Error).message}\n`));
    return 1;
  }
  return builtin(shell, args, redirected, assigned);
}

async function builtin(shell: Shell, args: string[], streams: Streams, env: Record<string, string>): Promise<number> {
  switch (args[0]) {
    case "exit":
      throw new Exit(Number(args[1] ?? shell.last) & 255);
    case "cd":
      shell.cwd = shell.process.files.resolve(args[1] ?? "/", shell.cwd);
      return 0;
    case "export":
      for (const one of args.slice(1)) {
        const [name, ...value] = one.split("=");
        if (value.length > 0) shell.variables[name!] = value.join("=");
      }
      return 0;
    case ":":
    case "set":
    case "trap":
    case "wait":
      return 0;
    case "exec":
      if (args.length === 1) return 0;
      throw new Exit(await builtin(shell, args.slice(1), streams, env));
  }
  const process = { ...shell.process, ...streams, args, cwd: shell.cwd, env: { ...shell.variables, ...env } };
  return execute(process);
}

async function redirect(shell: Shell, redirects: Redirect[], streams: Streams): Promise<Streams> {
  const result = { ...streams };
  const { files } = shell.process;
  for (const { stream, to, append } of redirects) {
    if (to === "stdout" || to === "stderr") {
      if (stream === 1) result.stdout = result[to];
      else result.stderr = result[to];
      continue;
    }
    const path = (await expand(shell, to, streams)).join(" ");
    if (stream === 0) {
      result.stdin = oneChunk(files.read(path, shell.cwd));
      continue;
    }
    if (!append) files.write(path, shell.cwd, new Uint8Array());
    const write = (bytes: Uint8Array): void => files.append(path, shell.cwd, bytes);
    if (stream === 1) result.stdout = write;
    else result.stderr = write;
  }
  return result;
}

async function expand(shell: Shell, word: Word, streams: Streams): Promise<string[]> {
  const fields: string[] = [];
  let current: string | undefined;
  for (const piece of word) {
    if (piece.kind === "text") {
      current = (current ?? "") + piece.text;
      continue;
    }
    const value =
      piece.kind === "variable"
        ? (variable(shell, piece.name) ?? piece.fallback ?? "")
        : piece.kind === "arithmetic"
          ? String(arithmetic(shell, piece.expression))
          : await substitute(shell, piece.script, streams);
    if (piece.kind === "arithmetic" || piece.quoted) {
      current = (current ?? "") + value;
      continue;
    }
    const parts = value.split(/\s+/);
    for (const [index, part] of parts.entries()) {
      if (index > 0 && current !== undefined) {
        fields.push(current);
        current = undefined;
      }
      if (part !== "") current = (current ?? "") + part;
    }
  }
  if (current !== undefined) fields.push(current);
  return fields;
}

function variable(shell: Shell, name: string): string | undefined {
  if (name === "?") return String(shell.last);
  if (name === "#") return String(Math.max(0, shell.positional.length - 1));
  if (name === "@" || name === "*") return shell.positional.slice(1).join(" ");
  if (name === "$") return "1";
  if (/^\d$/.test(name)) return shell.positional[Number(name)] ?? (name === "0" ? "sh" : "");
  return shell.variables[name];
}

async function substitute(shell: Shell, script: string, streams: Streams): Promise<string> {
  const output: Uint8Array[] = [];
  const inner = { ...shell, variables: { ...shell.variables } };
  shell.last = await run(inner, parseShell(script), { ...streams, stdout: (bytes) => output.push(bytes) });
  return Buffer.concat(output).toString().replace(/\n+$/, "");
}

/** Integers, names, `+ - * / %` from left to right with the usual precedence, and parentheses. */
function arithmetic(shell: Shell, expression: string): number {
  const tokens = expression.match(/\d+|[A-Za-z_]\w*|\$\w+|[-+*/%()]/g) ?? [];
  let at = 0;
  const atom = (): number => {
    const token = tokens[at++] ?? "0";
    if (token === "-") return -atom();
    if (token === "(") {
      const value = sum();
      at++;
      return value;
    }
    if (/^\d/.test(token)) return Number(token);
    return Number(variable(shell, token.replace("$", "")) ?? 0) || 0;
  };
  const product = (): number => {
    let value = atom();
    while (tokens[at] === "*" || tokens[at] === "/" || tokens[at] === "%") {
      const operator = tokens[at++];
      const right = atom();
      if (operator !== "*" && right === 0) throw new ShellSyntaxError("arithmetic error: division by zero");
      value = operator === "*" ? value * right : operator === "/" ? Math.trunc(value / right) : value % right;
    }
    return value;
  };
  const sum = (): number => {
    let value = product();
    while (tokens[at] === "+" || tokens[at] === "-") value += tokens[at++] === "+" ? product() : -product();
    return value;
  };
  return sum();
}

import { posix } from "node:path";
import { packTar, type TarMember, unpackTar } from "#agent/runtime/oci";
import { FileError } from "./files.ts";
import { Killed, type Process } from "./process.ts";

type Command = (process: Process) => Promise<number> | number;

const print = (process: Process, text: string): void => process.stdout(Buffer.from(text));

async function collect(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of bytes) parts.push(part);
  return Buffer.concat(parts);
}

/** Calls `use` for each named file, or once for the input; errors are written to stderr and make the exit code 1. */
async function eachFile(process: Process, names: string[], use: (bytes: Uint8Array) => void): Promise<number> {
  let code = 0;
  for (const name of names.length > 0 ? names : ["-"]) {
    try {
      use(name === "-" ? await collect(process.stdin) : process.files.read(name, process.cwd));
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      process.stderr(Buffer.from(`${process.args[0]}: can't open '${name}': ${error.message.split(": ").pop()}\n`));
      code = 1;
    }
  }
  return code;
}

const operands = (process: Process): string[] => process.args.slice(1).filter((arg) => !/^-./.test(arg));

const escapes: Record<string, string> = { n: "\n", t: "\t", r: "\r", "\\": "\\", a: "\x07", e: "\x1b" };
const unescaped = (text: string): string => text.replace(/\\([ntr\\ae])/g, (_, letter: string) => escapes[letter]!);

async function wait(process: Process, milliseconds: number): Promise<void> {
  await process.sleep(milliseconds);
  if (process.signal.aborted) throw new Killed();
}

const units: Record<string, number> = { "": 1, s: 1, m: 60, h: 3600, d: 86_400 };

async function sleepForever(process: Process): Promise<number> {
  // Timers hold at most 2^31 - 1 milliseconds.
  for (;;) await wait(process, 2 ** 31 - 1);
}

/** The programs of a fake container. Others are refused by name. */
export const commands: Record<string, Command> = {
  true: () => 0,
  false: () => 1,
  echo: (process) => {
    const args = process.args.slice(1);
    let end = "\n";
    let escaped = false;
    while (args[0] && /^-[ne]+$/.test(args[0])) {
      if (args[0].includes("n")) end = "";
      if (args[0].includes("e")) escaped = true;
      args.shift();
    }
    const text = args.join(" ");
    print(process, (escaped ? unescaped(text) : text) + end);
    return 0;
  },
  printf: (process) => {
    const [format = "", ...values] = process.args.slice(1);
    let next = 0;
    print(
      process,
      unescaped(format).replace(/%[sd%]/g, (match) => (match === "%%" ? "%" : (values[next++] ?? ""))),
    );
    return 0;
  },
  cat: async (process) => {
    const names = operands(process);
    if (names.length > 0) return eachFile(process, names, process.stdout);
    // Without file names the input is copied piece by piece.
    for await (const chunk of process.stdin) process.stdout(chunk);
    return 0;
  },
  sleep: async (process) => {
    const match = /^(\d*\.?\d+)([smhd]?)$/.exec(process.args[1] ?? "");
    if (process.args[1] === "infinity" || process.args[1] === "inf") return sleepForever(process);
    if (!match) {
      process.stderr(Buffer.from(`sleep: invalid number '${process.args[1] ?? ""}'\n`));
      return 1;
    }
    await wait(process, Math.min(Number(match[1]) * units[match[2]!]! * 1000, 2 ** 31 - 1));
    return 0;
  },
  pause: sleepForever,
  tail: async (process) => {
    if (process.args.includes("-f") || process.args.includes("-F")) return sleepForever(process);
    return lines(process, (all, count) => all.slice(-count));
  },
  head: (process) => lines(process, (all, count) => all.slice(0, count)),
  wc: async (process) => {
    let text = Buffer.alloc(0);
    const names = operands(process);
    const code = await eachFile(process, names, (bytes) => {
      text = Buffer.concat([text, bytes]);
    });
    const count = text.toString().split("\n").length - 1;
    const wanted = process.args.includes("-l")
      ? `${count}`
      : process.args.includes("-c")
        ? `${text.length}`
        : undefined;
    const words = text.toString().split(/\s+/).filter(Boolean).length;
    print(process, `${wanted ?? `${count} ${words} ${text.length}`}${names[0] ? ` ${names[0]}` : ""}\n`);
    return code;
  },
  grep: async (process) => {
    const [pattern = "", ...names] = operands(process);
    let found = false;
    const code = await eachFile(process, names, (bytes) => {
      for (const line of Buffer.from(bytes).toString().replace(/\n$/, "").split("\n")) {
        if (line.includes(pattern) === process.args.includes("-v")) continue;
        found = true;
        if (!process.args.includes("-q")) print(process, `${line}\n`);
      }
    });
    return code === 0 ? (found ? 0 : 1) : 2;
  },
  seq: (process) => {
    const [first = "1", last = first] = process.args.slice(1);
    const from = process.args.length > 2 ? Number(first) : 1;
    for (let value = from; value <= Number(last); value++) print(process, `${value}\n`);
    return 0;
  },
  env: (process) => {
    for (const [name, value] of Object.entries(process.env)) print(process, `${name}=${value}\n`);
    return 0;
  },
  printenv: (process) => {
    if (process.args.length === 1) return commands["env"]!(process);
    const value = process.env[process.args[1]!];
    if (value !== undefined) print(process, `${value}\n`);
    return value === undefined ? 1 : 0;
  },
  hostname: (process) => {
    print(process, `${process.hostname}\n`);
    return 0;
  },
  uname: (process) => {
    print(process, "Linux\n");
    return 0;
  },
  date: (process) => {
    const time = new Date(process.now());
    print(process, process.args[1] === "+%s" ? `${Math.floor(time.getTime() / 1000)}\n` : `${time.toUTCString()}\n`);
    return 0;
  },
  id: (process) => {
    print(process, process.args.includes("-u") || process.args.includes("-g") ? "0\n" : "uid=0(root) gid=0(root)\n");
    return 0;
  },
  whoami: (process) => {
    print(process, "root\n");
    return 0;
  },
  pwd: (process) => {
    print(process, `${process.cwd || "/"}\n`);
    return 0;
  },
  ls: (process) => {
    for (const name of operands(process).length > 0 ? operands(process) : ["."]) {
      const kind = process.files.kind(name, process.cwd);
      if (!kind) {
        process.stderr(Buffer.from(`ls: ${name}: No such file or directory\n`));
        return 1;
      }
      const names = kind === "file" ? [name] : process.files.list(name, process.cwd);
      for (const one of names) print(process, `${one}\n`);
    }
    return 0;
  },
  mkdir: (process) => {
    for (const name of operands(process)) process.files.makeFolder(name, process.cwd);
    return 0;
  },
  touch: (process) => {
    for (const name of operands(process)) process.files.append(name, process.cwd, new Uint8Array());
    return 0;
  },
  rm: (process) => {
    for (const name of operands(process)) process.files.remove(name, process.cwd);
    return 0;
  },
  nc: (process) => {
    const port = Number(process.args[process.args.indexOf("-p") + 1]);
    if (process.args.some((arg) => /^-\w*l/.test(arg)) && port > 0) {
      process.listen(port);
      return sleepForever(process);
    }
    process.stderr(Buffer.from("nc: only listening (-l -p PORT) is in this runtime, and it echoes\n"));
    return 1;
  },
  test: (process) => testFile(process, process.args.slice(1)),
  "[": (process) => testFile(process, process.args.slice(1, -1)),
  tar,
};

async function lines(process: Process, choose: (all: string[], count: number) => string[]): Promise<number> {
  const flag = process.args.indexOf("-n");
  const short = process.args.find((arg) => /^-\d+$/.test(arg));
  const count = short ? Number(short.slice(1)) : flag > 0 ? Number(process.args[flag + 1]) : 10;
  const names = operands(process).filter((name) => flag < 0 || name !== process.args[flag + 1]);
  return eachFile(process, names, (bytes) => {
    const all = Buffer.from(bytes).toString().replace(/\n$/, "").split("\n");
    print(
      process,
      choose(all, count)
        .map((line) => `${line}\n`)
        .join(""),
    );
  });
}

function testFile(process: Process, args: string[]): number {
  if (args[0] === "!") return 1 - testFile(process, args.slice(1));
  const [a = "", b, c = ""] = args;
  const kind = (): string | undefined => process.files.kind(b ?? "", process.cwd);
  const unary: Record<string, () => boolean> = {
    "-f": () => kind() === "file",
    "-d": () => kind() === "folder",
    "-e": () => kind() !== undefined,
    "-n": () => (b ?? "") !== "",
    "-z": () => (b ?? "") === "",
  };
  const binary: Record<string, () => boolean> = {
    "=": () => a === c,
    "==": () => a === c,
    "!=": () => a !== c,
    "-eq": () => Number(a) === Number(c),
    "-ne": () => Number(a) !== Number(c),
    "-lt": () => Number(a) < Number(c),
    "-le": () => Number(a) <= Number(c),
    "-gt": () => Number(a) > Number(c),
    "-ge": () => Number(a) >= Number(c),
  };
  const check = args.length === 3 ? binary[b ?? ""] : args.length === 2 ? unary[a] : () => a !== "";
  if (check) return check() ? 0 : 1;
  process.stderr(Buffer.from(`sh: ${args.join(" ")}: not in this test command\n`));
  return 2;
}

/** `tar c` to stdout and `tar x` from stdin, as `kubectl cp` uses it. */
async function tar(process: Process): Promise<number> {
  const [flags = "", ...rest] = process.args.slice(1);
  const folderAt = rest.indexOf("-C");
  const folder = process.files.resolve(folderAt < 0 ? "." : (rest[folderAt + 1] ?? "."), process.cwd);
  const names = rest.filter((arg, at) => !arg.startsWith("-") && (folderAt < 0 || at !== folderAt + 1));
  if (flags.includes("c")) {
    const members: TarMember[] = [];
    for (const name of names) {
      if (!process.files.kind(name, folder)) {
        process.stderr(Buffer.from(`tar: ${name}: No such file or directory\n`));
        return 1;
      }
      addMembers(process, folder, name, members);
    }
    process.stdout(packTar(members));
    return 0;
  }
  if (!flags.includes("x")) {
    process.stderr(Buffer.from(`tar: ${flags}: only c and x are in this runtime\n`));
    return 2;
  }
  for (const { path, bytes, link } of unpackTar(await collect(process.stdin))) {
    if (link !== undefined) process.stderr(Buffer.from(`tar: ${path}: symbolic links are not in this runtime\n`));
    else if (bytes) process.files.write(path, folder, Buffer.from(bytes));
    else process.files.makeFolder(path, folder);
  }
  return 0;
}

function addMembers(process: Process, folder: string, name: string, members: TarMember[]): void {
  const path = name.replace(/^\/+/, "");
  if (process.files.kind(name, folder) === "file") {
    members.push({ path, bytes: process.files.read(name, folder) });
    return;
  }
  members.push({ path });
  for (const one of process.files.list(name, folder)) addMembers(process, folder, posix.join(name, one), members);
}

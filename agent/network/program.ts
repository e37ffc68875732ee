import { spawn } from "node:child_process";

/** Characters of an error that are kept: nft repeats the line of the fault, which may be long. */
const errorLength = 1000;

/** Runs a program and resolves with its output. Rejects with its first lines of error, or if it is missing. */
export function runProgram(program: string, args: readonly string[], input = ""): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
    const out: string[] = [];
    let said = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => out.push(chunk));
    child.stderr.on("data", (chunk) => {
      if (said.length < errorLength) said += chunk;
    });
    // The program may end before it has read everything; its exit code has the reason.
    child.stdin.on("error", () => {});
    child.once("error", (error: NodeJS.ErrnoException) =>
      reject(error.code === "ENOENT" ? new Error(`the program ${program} is missing`) : error),
    );
    child.once("close", (code) => {
      if (code === 0) resolve(out.join(""));
      else reject(new Error(`${program} ended with code ${code}: ${said.trim().slice(0, errorLength)}`));
    });
    child.stdin.end(input);
  });
}

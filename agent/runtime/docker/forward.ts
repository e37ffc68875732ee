import { spawn } from "node:child_process";
import { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { RuntimeError } from "#agent/runtime";

/**
 * A program of Node.js that connects its standard streams to a port of the loopback address, of IPv4 or else of IPv6.
 * Each direction ends for itself.
 */
const program = `
const net = require("node:net");
const port = Number(process.argv[1]);
const fail = (error) => { process.stderr.write(error.message); process.exit(1); };
const pass = (socket) => {
  socket.on("error", fail);
  process.stdin.pipe(socket).pipe(process.stdout);
};
const connect = (host, otherwise) => {
  const socket = net.connect({ host, port, allowHalfOpen: true });
  socket.once("error", otherwise);
  socket.once("connect", () => { socket.off("error", otherwise); pass(socket); });
};
connect("127.0.0.1", (error) => connect("::1", () => fail(error)));
`;

/** Connects to a port in the network namespace of a process. Its stream fails with the connection's error. */
export function forwardInto(pid: number, port: number): Duplex {
  const words = ["--target", String(pid), "--net", "--", process.execPath, "-e", program, String(port)];
  const child = spawn("nsenter", words, { stdio: ["pipe", "pipe", "pipe"] });
  const message = text(child.stderr);
  const ended = new Promise<number>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve(code ?? 1));
  });
  ended.catch(() => {});
  child.stdin.on("error", () => {});
  const readable = (async function* () {
    yield* child.stdout as AsyncIterable<Buffer>;
    const code = await ended;
    if (code !== 0) throw new RuntimeError("failed", `port ${port}: ${(await message).trim() || "the stream broke"}`);
  })();
  const duplex = Duplex.from({ readable, writable: child.stdin });
  duplex.on("close", () => child.kill());
  return duplex;
}

import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough, Readable, type Writable } from "node:stream";
import { promisify } from "node:util";
import { Attach, Cp, Exec, KubeConfig, Log, PortForward, type V1Status } from "@kubernetes/client-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { kubectl, type Setting } from "../kubectl/runner.ts";
import { until } from "./client.ts";
import { Machine } from "./machine.ts";
import { applyStreamPods } from "./stream-pods.ts";

/* Streams of other clients than kubectl: @kubernetes/client-node, and the Python client where it is installed. */

let machine: Machine;
let setting: Setting;
const config = new KubeConfig();

beforeAll(async () => {
  machine = await Machine.open();
  ({ setting } = machine);
  await applyStreamPods(setting);
  config.loadFromFile(machine.skiff.kubeconfig);
});
afterAll(() => machine?.close());

/** A stream that collects what is written to it. */
function sink(): { stream: PassThrough; readonly text: string } {
  const stream = new PassThrough();
  let text = "";
  stream.on("data", (chunk: Buffer) => {
    text += chunk;
  });
  return {
    stream,
    get text() {
      return text;
    },
  };
}

interface Command {
  words: string[];
  stdout: Writable;
  stderr?: Writable;
  stdin?: Readable;
  tty?: boolean;
}

/** Runs a command in `box` to its end. */
const exec = ({ words, stdout, stderr, stdin, tty = false }: Command): Promise<V1Status> =>
  new Promise((resolve, reject) => {
    new Exec(config)
      .exec("default", "box", "box", words, stdout, stderr ?? null, stdin ?? null, tty, resolve)
      .catch(reject);
  });

test("client-node: exec carries three streams, their ends and the exit code", async () => {
  const [out, err] = [sink(), sink()];
  const words = ["sh", "-c", "cat; echo oops >&2; exit 3"];
  const status = await exec({ words, stdout: out.stream, stderr: err.stream, stdin: Readable.from(["in"]) });
  expect([out.text, err.text]).toEqual(["in", "oops\n"]);
  expect(status).toMatchObject({
    status: "Failure",
    reason: "NonZeroExitCode",
    details: { causes: [{ reason: "ExitCode", message: "3" }] },
  });
});

test("client-node: exec in a terminal follows its size", async () => {
  const out = sink();
  const terminal = Object.assign(out.stream, { rows: 37, columns: 91 });
  const words = ["sh", "-c", "until stty size 2>/dev/null | grep '^20 70'; do stty size; sleep 0.2; done"];
  const done = exec({ words, stdout: terminal, stdin: new PassThrough(), tty: true });
  await until(async () => out.text.includes("37 91"));
  Object.assign(terminal, { rows: 20, columns: 70 }).emit("resize");
  expect((await done).status).toBe("Success");
});

test("client-node: attach types into a container and reads its output", async () => {
  const out = sink();
  const input = new PassThrough();
  const socket = await new Attach(config).attach("default", "cat", "cat", out.stream, null, input, false);
  input.write("attached\n");
  await until(async () => out.text === "attached\n");
  socket.close();
});

test("client-node: port-forward connects to a port of a pod, and reports one that refuses", async () => {
  const [out, err] = [sink(), sink()];
  const input = new PassThrough();
  await new PortForward(config).portForward("default", "web", [80], out.stream, err.stream, input);
  input.write("GET / HTTP/1.0\r\n\r\n");
  await until(async () => out.text.includes("Welcome to nginx!"));
  expect(err.text).toBe("");
  await new PortForward(config).portForward("default", "web", [81], out.stream, err.stream, new PassThrough());
  await until(async () => err.text.includes("error forwarding port 81 to pod web_default"));
});

test("client-node: cp copies a folder to a container and back", async () => {
  const [there, back] = ["there", "back"].map((name) => join(machine.folder, name));
  for (const folder of [there!, back!]) mkdirSync(folder);
  const content = "0123456789".repeat(100_000);
  writeFileSync(join(there!, "file"), content);
  // Neither call waits for its end.
  await new Cp(config).cpToPod("default", "box", "box", there!, "/tmp");
  await until(async () => (await kubectl(setting, { run: "exec box -- wc -c /tmp/file" })).out.startsWith("1000000 "));
  await new Cp(config).cpFromPod("default", "box", "box", "file", back!, "/tmp");
  const read = () => {
    try {
      return readFileSync(join(back!, "file"), "utf8");
    } catch {
      return "";
    }
  };
  await until(async () => read().length === content.length);
  expect(read() === content).toBe(true);
});

test("client-node: log follows a container to its end", async () => {
  const out = sink();
  await new Log(config).log("default", "job", "a", out.stream, { follow: true });
  await new Promise((resolve) => out.stream.once("end", resolve));
  expect(out.text).toBe("a1\na2\n");
});

/** A Python with the package `kubernetes`: SKIFF_PYTHON, or the one on the path. */
const python = process.env["SKIFF_PYTHON"] ?? "python3";
const hasClient = (): boolean => {
  try {
    execFileSync(python, ["-c", "import kubernetes.stream"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
};

test.skipIf(!hasClient())("the Python client's stream and portforward (needs PyPI's package kubernetes)", async () => {
  const env = { ...process.env, KUBECONFIG: machine.skiff.kubeconfig };
  const { stdout } = await promisify(execFile)(python, ["test/e2e/stream_client.py"], { env });
  expect(JSON.parse(stdout)).toEqual({
    exec: "out\nerr\n",
    shell: ["one\n", 3],
    size: "37 91\r\n",
    attached: true,
    forwarded: true,
    refused: true,
    log: ["b1", "b2"],
    proxied: true,
  });
});

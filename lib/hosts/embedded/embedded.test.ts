import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Node } from "#api";
import { isReadySince } from "./up.ts";

const program = "lib/cli/skiff.ts";

interface Ended {
  code: number | null;
  err: string;
  out: string;
}

async function skiff(words: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const child = spawn(process.execPath, [program, ...words], { env: { ...process.env, ...env } });
  const ended: Ended = { code: null, err: "", out: "" };
  child.stderr.on("data", (chunk) => {
    ended.err += chunk;
  });
  child.stdout.on("data", (chunk) => {
    ended.out += chunk;
  });
  [ended.code] = await once(child, "close");
  return ended;
}

const folders: string[] = [];
function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "skiff-test-"));
  folders.push(made);
  return made;
}
afterAll(() => {
  for (const each of folders) rmSync(each, { recursive: true, force: true });
});

/** The last line with text: the one that a user reads. */
const lines = (text: string) =>
  text
    .trim()
    .split("\n")
    .filter((line) => line !== "");

describe("invalid command lines end with one clear line and a non-zero code", () => {
  test.each([
    ["an unknown runtime", ["up", "--runtime", "podman"], /'podman' is invalid.*auto, containerd, docker, fake/],
    ["a malformed port", ["up", "--port", "99999"], /'99999' is invalid.*0 to 65535/],
    ["a malformed block", ["up", "--pod-cidr", "10.0.0.0"], /'10\.0\.0\.0' is invalid.*IPv4 block/],
    ["a malformed mirror", ["up", "--registry-mirror", "x"], /'x' is invalid.*REGISTRY=URL/],
    ["no data folder", ["up", "--data-dir", ""], /'' is invalid.*path of a folder/],
    ["no data folder for down", ["down", "--data-dir", " "], /path of a folder/],
    ["a malformed node name", ["up", "--node-name", "A_B"], /'A_B' is invalid.*a node's name/],
    ["an unknown option", ["up", "--fast"], /unknown option '--fast'/],
    ["an unknown command", ["upp"], /unknown command 'upp'/],
  ])("%s", async (_name, words, expected) => {
    const { code, err } = await skiff(words);
    expect(code).toBe(2);
    expect(lines(err)[0]).toMatch(expected);
  });

  test("an environment variable is named like its option", async () => {
    const { code, err } = await skiff(["up"], { SKIFF_RUNTIME: "podman" });
    expect(code).toBe(2);
    expect(err).toMatch(/podman.*SKIFF_RUNTIME/);
  });

  // Seen with npm 11: `npm run skiff down --data-dir=/x` runs `skiff down` with this variable.
  test("an option that npm has removed", async () => {
    const { code, err } = await skiff(["status"], { npm_config_data_dir: folder() });
    expect(code).toBe(2);
    expect(lines(err)).toEqual(["error: npm has not passed on --data-dir: write -- before the options"]);
  });

  test("a containerd socket that does not exist", async () => {
    const socket = join(folder(), "containerd.sock");
    const { code, err } = await skiff(["up", "--containerd-socket", socket, "--data-dir", folder(), "--port", "0"]);
    expect(code).toBe(1);
    expect(err).toContain(`--containerd-socket ${socket} does not exist`);
  });

  test("a file with DNS servers that does not exist", async () => {
    const file = join(folder(), "resolv.conf");
    const { code, err } = await skiff([
      "up",
      "--runtime",
      "fake",
      "--resolv-conf",
      file,
      "--data-dir",
      folder(),
      "--port",
      "0",
    ]);
    expect(code).toBe(1);
    expect(err).toContain(`--resolv-conf ${file} cannot be read: ENOENT`);
  });

  test("several nodes on a real runtime", async () => {
    const { code, err } = await skiff(["up", "--nodes", "3", "--runtime", "containerd", "--data-dir", folder()]);
    expect(code).toBe(1);
    expect(err).toMatch(/--nodes 3 needs --runtime fake/);
  });

  test("addresses of pods that are services' too", async () => {
    const blocks = ["--pod-cidr", "10.96.128.0/17", "--service-cidr", "10.96.0.0/16"];
    const { code, err } = await skiff(["up", "--runtime", "fake", "--data-dir", folder(), ...blocks]);
    expect(code).toBe(1);
    expect(lines(err)).toHaveLength(1);
    expect(err).toMatch(/--pod-cidr 10\.96\.128\.0\/17 and --service-cidr 10\.96\.0\.0\/16 overlap/);
  });

  test("a folder that cannot be one", async () => {
    const file = join(folder(), "file");
    writeFileSync(file, "");
    const { code, err } = await skiff(["up", "--runtime", "fake", "--data-dir", file]);
    expect(code).toBe(1);
    expect(err).toMatch(/the data folder .*file cannot be used/);
  });

  test("a store that is no database", async () => {
    const dataDir = folder();
    writeFileSync(join(dataDir, "store.db"), "this is not a database, and long enough to be looked at".repeat(100));
    const { code, err } = await skiff(["up", "--runtime", "fake", "--data-dir", dataDir, "--port", "0"]);
    expect(code).toBe(1);
    expect(err).toMatch(/store\.db/);
  });

  test("a port in use", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const { code, err } = await skiff(["up", "--runtime", "fake", "--data-dir", folder(), "--port", String(port)]);
    server.close();
    expect(code).toBe(1);
    expect(err).toMatch(new RegExp(`127\\.0\\.0\\.1:${port} is taken by another program: choose another --port`));
  });

  test.runIf(process.getuid?.() === 0)("containers without root", async () => {
    const dataDir = folder();
    chmodSync(dataDir, 0o777);
    const words = [process.execPath, program, "up", "--runtime", "containerd", "--data-dir", join(dataDir, "d")];
    const child = spawn(words[0]!, words.slice(1), { uid: 65534, gid: 65534 });
    let err = "";
    child.stderr.on("data", (chunk) => {
      err += chunk;
    });
    const [code] = await once(child, "close");
    expect(code).not.toBe(0);
    expect(err).toMatch(/containers need root/);
  });

  test("status and kubeconfig of a folder without a cluster", async () => {
    const dataDir = folder();
    expect((await skiff(["kubeconfig", "--data-dir", dataDir])).err).toMatch(/there is no cluster in/);
    const status = await skiff(["status", "--data-dir", dataDir, "--output", "json"]);
    expect(status.code).toBe(1);
    expect(JSON.parse(status.out)).toMatchObject({ ok: false, parts: [{ name: "control plane", ok: false }] });
  });
});

test("a status of an earlier agent does not make a start ready", () => {
  const node = (status: string, lastHeartbeatTime?: string): Node => ({
    metadata: { name: "n" },
    status: { conditions: [{ type: "Ready", status, ...(lastHeartbeatTime ? { lastHeartbeatTime } : {}) }] },
  });
  const since = "2026-03-01T10:00:00.900Z";
  expect(isReadySince(node("True", "2026-03-01T09:59:59Z"), since)).toBe(false);
  expect(isReadySince(node("True"), since)).toBe(false);
  expect(isReadySince(node("False", "2026-03-01T10:00:01Z"), since)).toBe(false);
  expect(isReadySince(node("True", "2026-03-01T10:00:00Z"), since)).toBe(true);
});

describe("a signal ends the start at any step", () => {
  const marks = ["opening the data folder", "starting the control plane", "starting the agent", "Skiff is ready"];
  const cases = marks.flatMap((mark) => (["SIGTERM", "SIGHUP"] as const).map((signal) => [signal, mark] as const));
  test.each(cases)("%s at: %s", async (signal, mark) => {
    const dataDir = folder();
    const words = [program, "up", "--runtime", "fake", "--data-dir", dataDir, "--port", "0"];
    const child = spawn(process.execPath, words, { stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    child.stderr.on("data", (chunk) => {
      const before = said.includes(mark);
      said += chunk;
      if (!before && said.includes(mark)) child.kill(signal);
    });
    const [code] = await once(child, "close");
    expect(code).toBe(0);
    const { agent } = existsSync(join(dataDir, "running.json"))
      ? (JSON.parse(readFileSync(join(dataDir, "running.json"), "utf8")) as { agent?: number })
      : {};
    expect(agent).toBeUndefined();
    // The folder is free again.
    expect((await skiff(["down", "--data-dir", dataDir])).code).toBe(0);
  });
});

// As in the README: a supervisor knows only npm's process, and npm passes signals to the shell that runs the script.
test("a signal to npm start ends the cluster", { timeout: 30_000 }, async () => {
  const dataDir = folder();
  const words = ["start", "--", "--runtime", "fake", "--data-dir", dataDir, "--port", "0"];
  const npm = spawn("npm", words, { stdio: ["ignore", "ignore", "pipe"], detached: true });
  try {
    let said = "";
    await new Promise<void>((resolve, reject) => {
      npm.stderr.on("data", (chunk) => {
        said += chunk;
        if (said.includes("Skiff is ready")) resolve();
      });
      npm.once("exit", () => reject(new Error(said)));
    });
    npm.kill("SIGTERM");
    await once(npm, "close");
    expect(existsSync(join(dataDir, "running.json"))).toBe(false);
  } finally {
    // All processes that npm has started, also if the signal got lost.
    killGroup(npm.pid!);
  }
});

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // All of them have exited.
  }
}

describe("a running cluster", () => {
  let dataDir: string;
  let child: ReturnType<typeof spawn>;

  beforeAll(async () => {
    dataDir = folder();
    const words = ["up", "--runtime", "fake", "--data-dir", dataDir, "--port", "0"];
    child = spawn(process.execPath, [program, ...words, "--audit-log", join(dataDir, "audit.log")], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    await new Promise<void>((resolve, reject) => {
      child.stderr!.on("data", (chunk) => {
        said += chunk;
        if (said.includes("Skiff is ready")) resolve();
      });
      child.once("exit", () => reject(new Error(said)));
    });
  }, 60_000);

  afterAll(async () => {
    if (child.exitCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  });

  const ask = (
    path: string,
    options: { method?: string; body?: Buffer; identity?: boolean } = {},
  ): Promise<{ status: number; body: string }> => {
    const { server } = JSON.parse(readFileSync(join(dataDir, "running.json"), "utf8")) as { server: string };
    const read = (file: string) => readFileSync(join(dataDir, "pki", file), "utf8");
    const { hostname, port } = new URL(server);
    const identity = options.identity === false ? {} : { cert: read("admin.crt"), key: read("admin.key") };
    return new Promise((resolve, reject) => {
      const headers = options.body ? { "content-type": "application/json" } : {};
      const sent = request(
        {
          hostname,
          port,
          path,
          method: options.method ?? "GET",
          ca: read("ca.crt"),
          agent: false,
          headers,
          ...identity,
        },
        (response) => {
          let body = "";
          response.on("data", (chunk) => {
            body += chunk;
          });
          response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
        },
      );
      sent.on("error", reject);
      sent.end(options.body);
    });
  };

  test("writes an audit line for each request", async () => {
    await ask("/api/v1/namespaces/audited");
    const file = join(dataDir, "audit.log");
    // Its line may arrive after the response, and in pieces.
    const audited = () => {
      const text = readFileSync(file, "utf8");
      const events = lines(text.slice(0, text.lastIndexOf("\n") + 1)).map((line) => JSON.parse(line));
      return events.find(({ objectRef }) => objectRef?.name === "audited");
    };
    await expect.poll(audited, { timeout: 20_000 }).toMatchObject({
      apiVersion: "audit.k8s.io/v1",
      verb: "get",
      user: { username: "kubernetes-admin" },
      sourceIPs: ["127.0.0.1"],
      responseStatus: { code: 404, reason: "NotFound" },
    });
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test("refuses a second cluster in the same folder, and the first keeps running", async () => {
    const second = await skiff(["up", "--runtime", "fake", "--data-dir", dataDir, "--port", "0"]);
    expect(second.code).toBe(1);
    expect(second.err).toMatch(/another cluster is running in .* \(process \d+, https:/);
    expect((await skiff(["status", "--data-dir", dataDir])).code).toBe(0);
  });

  test("refuses requests without an identity, except for health and version", async () => {
    expect(await ask("/api/v1/pods", { identity: false })).toMatchObject({ status: 403 });
    expect(JSON.parse((await ask("/apis", { identity: false })).body)).toMatchObject({
      kind: "Status",
      reason: "Forbidden",
    });
    for (const path of ["/healthz", "/livez", "/readyz"])
      expect(await ask(path, { identity: false })).toEqual({ status: 200, body: "ok" });
    expect(JSON.parse((await ask("/version", { identity: false })).body)).toMatchObject({ major: "1", minor: "36" });
  });

  test("answers a body over the limit with a Status, and continues", async () => {
    const body = Buffer.from(`{"data":{"a":"${"x".repeat(4 * 1024 * 1024)}"}}`);
    const answer = await ask("/api/v1/namespaces/default/configmaps", { method: "POST", body });
    expect(JSON.parse(answer.body)).toMatchObject({ code: 413, reason: "RequestEntityTooLarge" });
    expect((await ask("/readyz")).status).toBe(200);
  });

  test("restarts an agent that is killed, and status reports it", { timeout: 20_000 }, async () => {
    const agentOf = () => (JSON.parse(readFileSync(join(dataDir, "running.json"), "utf8")) as { agent: number }).agent;
    const before = agentOf();
    process.kill(before, "SIGKILL");
    while (agentOf() === before) await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await skiff(["status", "--data-dir", dataDir])).code).toBe(0);
  });

  test("SIGTERM stops it cleanly, and its agent with it", async () => {
    const { agent } = JSON.parse(readFileSync(join(dataDir, "running.json"), "utf8")) as { agent: number };
    child.kill("SIGTERM");
    const [code] = await once(child, "exit");
    expect(code).toBe(0);
    expect(() => process.kill(agent, 0)).toThrow();
  });
});

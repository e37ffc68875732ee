import { readFileSync } from "node:fs";
import { get } from "node:https";
import { join } from "node:path";
import { isConditionTrue, nodes, pods } from "#api";
import { messageOf } from "#base";
import { httpClient } from "#client";
import { dataFolder, isAlive, Refusal, readRunning } from "./data-folder.ts";
import { type Membership, readMembership } from "./membership.ts";

interface Part {
  name: string;
  ok: boolean;
  detail: string;
}

/** `skiff status`: how every part does. The exit code is 0 when all is well. */
export async function status({ dataDir, output }: { dataDir: string; output: "text" | "json" }): Promise<number> {
  const folder = dataFolder(dataDir);
  const running = readRunning(folder);
  const member = readMembership(folder);
  const parts: Part[] = [];
  const alive = running !== undefined && isAlive(running.pid);
  parts.push({
    name: member ? "node" : "control plane",
    ok: alive,
    detail: alive ? `process ${running.pid}, ${running.server}` : "not running",
  });
  if (alive) {
    const agent = running.agent !== undefined && isAlive(running.agent);
    parts.push({
      name: "agent",
      ok: agent,
      detail: agent ? `process ${running.agent}, ${running.runtime}` : "not running",
    });
    parts.push(...(await (member ? askForNode(member) : askServer(folder.root, folder.pki, running.server))));
  }
  const ok = parts.every((part) => part.ok);
  if (output === "json") process.stdout.write(`${JSON.stringify({ ok, dataDir: folder.root, parts }, null, 2)}\n`);
  else for (const part of parts) process.stdout.write(`${part.ok ? "ok  " : "FAIL"}  ${part.name}: ${part.detail}\n`);
  return ok ? 0 : 1;
}

async function askServer(root: string, pki: string, server: string): Promise<Part[]> {
  const read = (file: string): string => {
    try {
      return readFileSync(join(pki, file), "utf8");
    } catch (error) {
      throw new Refusal(`the certificates in ${root} cannot be read: ${messageOf(error)}`);
    }
  };
  const identity = { ca: read("ca.crt"), cert: read("admin.crt"), key: read("admin.key") };
  const client = httpClient({ server, ca: identity.ca, certificate: identity });
  try {
    const [nodeList, podList] = [await client.list(nodes), await client.list(pods)];
    const ready = nodeList.items.filter(({ status: state }) =>
      state?.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True"),
    );
    const runningPods = podList.items.filter(({ status: state }) => state?.phase === "Running");
    return [
      { name: "api", ok: true, detail: "answers" },
      ...(await failingChecks(server, identity)),
      {
        name: "nodes",
        ok: ready.length === nodeList.items.length && ready.length > 0,
        detail: `${ready.length} of ${nodeList.items.length} ready`,
      },
      { name: "pods", ok: true, detail: `${runningPods.length} of ${podList.items.length} running` },
    ];
  } catch (error) {
    return [{ name: "api", ok: false, detail: messageOf(error) }];
  } finally {
    client.close();
  }
}

/** What the cluster that this machine has joined knows of its node. */
async function askForNode({ server, ca, name, certificate }: Membership): Promise<Part[]> {
  const client = httpClient({ server, ca, certificate });
  try {
    const node = await client.get(nodes, { name });
    const { items } = await client.list(pods, { fields: [{ field: "spec.nodeName", equal: true, value: name }] });
    const ready = node.status?.conditions?.find(({ type }) => type === "Ready");
    const isReady = isConditionTrue(node.status?.conditions, "Ready");
    const runningPods = items.filter(({ status: state }) => state?.phase === "Running");
    return [
      { name: "api", ok: true, detail: "answers" },
      { name: "ready", ok: isReady, detail: isReady ? name : `${name}: ${ready?.message ?? "no condition yet"}` },
      { name: "pods", ok: true, detail: `${runningPods.length} of ${items.length} running` },
    ];
  } catch (error) {
    return [{ name: "api", ok: false, detail: messageOf(error) }];
  } finally {
    client.close();
  }
}

/** A part for each check of /readyz that fails. */
async function failingChecks(server: string, identity: { ca: string; cert: string; key: string }): Promise<Part[]> {
  const body = await new Promise<string>((resolve, reject) => {
    const asked = get(`${server}/readyz?verbose`, { ...identity, agent: false }, (answer) => {
      let said = "";
      answer.on("data", (chunk) => {
        said += chunk;
      });
      answer.on("end", () => resolve(said));
      answer.on("error", reject);
    });
    asked.on("error", reject);
  });
  return [...body.matchAll(/^\[-\](\S+) failed: (.*)$/gm)].map(([, name = "", detail = ""]) => ({
    name,
    ok: false,
    detail,
  }));
}

import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { check, findKubectls, kubectl, type Setting } from "../kubectl/runner.ts";
import { Machine } from "./machine.ts";
import { kubectlBeside, kubectlInTerminal } from "./running.ts";
import { applyStreamPods } from "./stream-pods.ts";

/*
 * kubectl's streams into real containers, with its oldest and its newest supported version, over both of its
 * transports. `KUBECTL` names one version instead, such as upstream's newest.
 */

const found = findKubectls(true);
const kubectls = [...new Set([found[0] ?? "kubectl", found.at(-1) ?? "kubectl"])];
const transports = [
  ["WebSocket", "true"],
  ["SPDY", "false"],
] as const;
const source = "kubectl, and containerd as upstream's kubelet uses it";

let machine: Machine;
const big = randomBytes(3_000_000);
const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

const settingOf = (path: string, sockets = "true"): Setting => ({
  kubectl: path,
  kubeconfig: machine.skiff.kubeconfig,
  namespace: "default",
  home: join(machine.folder, basename(path)),
  editor: join(machine.folder, "true"),
  env: { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: sockets, KUBECTL_PORT_FORWARD_WEBSOCKETS: sockets },
});

beforeAll(async () => {
  machine = await Machine.open();
  mkdirSync(join(machine.folder, "folder", "sub"), { recursive: true });
  writeFileSync(join(machine.folder, "folder", "sub", "big"), big);
  writeFileSync(join(machine.folder, "folder", "small"), "small");
  await applyStreamPods(settingOf(kubectls.at(-1)!));
});
afterAll(() => machine?.close());

describe.each(kubectls)("%s", (path) => {
  describe.each(transports)("over %s", (transport, sockets) => {
    test("exec -it follows the size of the terminal", async () => {
      const script = "while :; do stty size; sleep 0.2; done";
      const session = kubectlInTerminal(settingOf(path, sockets), "exec", "-it", "box", "--", "sh", "-c", script);
      const [, device] = await session.until(/(\/dev\/pts\/\d+)/);
      await session.until(/\b37 91\b/);
      execFileSync("stty", ["-F", device!, "rows", "20", "cols", "70"]);
      await session.until(/\b20 70\b/);
      session.type("\x03");
      expect(await session.end()).toBe(130);
    });

    test("attach -it types into the first process and detaches from it", async () => {
      const session = kubectlInTerminal(settingOf(path, sockets), "attach", "-it", "shell");
      await session.until(/command prompt/);
      session.type(`echo ${transport}$((20 + 3))\n`);
      await session.until(new RegExp(`${transport}23`));
      await session.stop();
    });

    test("run -i passes standard input to the container and its output back", async () => {
      const name = `once-${kubectls.indexOf(path)}-${transport.toLowerCase()}`;
      const run = `run -i --rm --restart=Never ${name} --image=busybox --command -- sh -c 'cat; echo end'`;
      await check(settingOf(path, sockets), { run, stdin: "typed\n", source, out: /typed\nend\n/ });
    });

    test("cp copies a folder to a container and back", async () => {
      const own = settingOf(path, sockets);
      const target = `/tmp/${transport}-${kubectls.indexOf(path)}`;
      await check(own, { run: `cp ${machine.folder}/folder box:${target}`, source });
      const sums = { run: `exec box -- sha256sum ${target}/sub/big ${target}/small`, source, out: [] as RegExp[] };
      sums.out = [big, Buffer.from("small")].map((bytes) => new RegExp(digest(bytes)));
      await check(own, sums);
      const back = join(machine.folder, `back${target.replaceAll("/", "-")}`);
      await check(own, { run: `cp box:${target} ${back}`, source });
      expect(digest(readFileSync(join(back, "sub", "big")))).toBe(digest(big));
      expect(readFileSync(join(back, "small"), "utf8")).toBe("small");
    });

    test("port-forward svc/… carries several connections at once", async () => {
      const forward = kubectlBeside(settingOf(path, sockets), "port-forward", "svc/web", ":8080");
      const [, port] = await forward.until(/127\.0\.0\.1:(\d+) -> 80/);
      const pages = await Promise.all(
        [1, 2, 3].map(async () => (await fetch(`http://127.0.0.1:${port}/`, { keepalive: false })).text()),
      );
      for (const page of pages) expect(page).toContain("Welcome to nginx!");
      await forward.stop();
    });

    test("exec takes a command of 900,000 bytes, and reports a container that does not exist", async () => {
      const own = settingOf(path, sockets);
      const words = `${"0123456789".repeat(10_000)} `.repeat(9);
      const run = `exec box -- sh -c 'for a; do t=$((t + \${#a})); done; echo $t' - ${words}`;
      await check(own, { run, source: "ARG_MAX, and DefaultMaxHeaderBytes of net/http", out: /^900000\n$/ });
      const none = { run: "exec box -c none -- true", source, code: 1, err: /container none is not valid for pod box/ };
      await check(own, none);
    });

    test("debug adds a container that sees the processes of its target", async () => {
      const name = `debug-${kubectls.indexOf(path)}-${transport.toLowerCase()}`;
      const words = ["debug", "-it", "box", "--image=busybox", "--profile=general", "--target=box", "-c", name, "--"];
      const session = kubectlInTerminal(settingOf(path, sockets), ...words, "sh");
      await session.until(/\/ #/);
      session.type("ps | grep -c [1]00000; echo $((40 + 2))\n");
      await session.until(/\r\n1\r\n42\r\n/);
      session.type("exit\n");
      expect(await session.end()).toBe(0);
    });
  });

  test("logs -f --all-containers --prefix follows every container to its end", async () => {
    const { code, out } = await kubectl(settingOf(path), { run: "logs job -f --all-containers --prefix" });
    expect(code).toBe(0);
    const lines = [
      "[pod/job/init] prepared",
      ...["a", "b"].flatMap((c) => [1, 2].map((n) => `[pod/job/${c}] ${c}${n}`)),
    ];
    expect(out.trim().split("\n").sort()).toEqual(lines.sort());
  });

  test("proxy reaches pods, services and the node", async () => {
    const proxy = kubectlBeside(settingOf(path), "proxy", "--port=0");
    const [, address] = await proxy.until(/on (127\.0\.0\.1:\d+)/);
    const get = async (what: string) => (await fetch(`http://${address}/api/v1/${what}`)).text();
    const services = "namespaces/default/services";
    for (const web of ["namespaces/default/pods/web", `${services}/web:http`, `${services}/http:web:8080`]) {
      expect(await get(`${web}/proxy/index.html`)).toContain("Welcome to nginx!");
    }
    expect(await get("nodes/boat/proxy/healthz")).toBe("ok");
    await proxy.stop();
  });
});

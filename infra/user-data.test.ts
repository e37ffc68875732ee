import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { scratch } from "./testing/index.ts";
import { nodeScript } from "./user-data.ts";

const config = {
  server: "https://example.com/live/iam",
  region: "eu-west-1",
  sigv4: true,
  labels: { zone: "INSTANCE_ZONE" },
};

test("the script is one that the shell understands", () => {
  const script = nodeScript({ agent: "s3://bucket/key.zip", config });
  expect(() => execFileSync("bash", ["-n"], { input: script.join("\n") })).not.toThrow();
  expect(() => execFileSync("bash", ["-n"], { input: `${script.join("\n")}\nif`, stdio: "pipe" })).toThrow();
});

test("the agent gets its configuration, with the instance's name, readable by its owner only", () => {
  const folder = scratch();
  const programs = join(folder, "bin");
  mkdirSync(programs);
  // The instance's metadata only.
  const metadata =
    'case "$*" in *PUT*) echo t;; *instance-id) echo i-1;; *zone) echo eu-west-1a;; *) echo t4g.small;; esac';
  writeFileSync(join(programs, "curl"), `#!/bin/bash\n${metadata}\n`);
  chmodSync(join(programs, "curl"), 0o755);
  for (const name of ["dnf", "modprobe", "sysctl", "iptables"]) {
    writeFileSync(join(programs, name), `#!/bin/bash\necho "${name} $*" >> ${folder}/calls\n`);
    chmodSync(join(programs, name), 0o755);
  }
  // At the first attempt, another process holds the lock.
  writeFileSync(
    join(programs, "dnf"),
    `#!/bin/bash\necho "dnf $*" >> ${folder}/calls\n[ -e ${folder}/free ] || { touch ${folder}/free; exit 1; }\n`,
  );
  writeFileSync(join(programs, "sleep"), "#!/bin/bash\n");
  chmodSync(join(programs, "sleep"), 0o755);
  const script = nodeScript({ config, before: ["echo first"] })
    .join("\n")
    .replaceAll("/etc/skiff", `${folder}/etc`)
    .replaceAll("/etc/sysctl.d", folder)
    .replaceAll("/etc/modules-load.d", folder)
    .replaceAll("/opt/skiff", `${folder}/programs`)
    .replaceAll("/var/lib/skiff", `${folder}/data`);
  execFileSync("bash", { input: script, env: { ...process.env, PATH: `${programs}:${process.env["PATH"]}` } });
  const file = join(folder, "etc/agent.json");
  expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({
    ...config,
    labels: { zone: "eu-west-1a" },
    nodes: [{ name: "i-1" }],
  });
  expect(statSync(file).mode & 0o077).toBe(0);
  const calls = readFileSync(join(folder, "calls"), "utf8");
  // ECS brings the agent.
  expect(calls).toContain("dnf install -y containerd runc");
  expect(calls).not.toContain("nodejs");
  expect(calls.match(/dnf install -y containerd/g)).toHaveLength(2);
  expect(calls.match(/dnf install -y cni-plugins/g)).toHaveLength(1);
  // Settings of bridges persist over restarts.
  expect(readFileSync(join(folder, "skiff.conf"), "utf8")).toBe("br_netfilter\n");
  expect(readFileSync(join(folder, "90-skiff.conf"), "utf8")).toContain("net.bridge.bridge-nf-call-iptables = 1\n");
  // Packets of pods pass with Docker, as on ECS's machines: forwarding is enabled first, or Docker blocks it again.
  expect(calls).toContain("sysctl -q --system\niptables -P FORWARD ACCEPT\n");
});

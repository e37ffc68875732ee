import { existsSync, mkdirSync, renameSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { run } from "./run.ts";

/** The version of Kubernetes whose suite this is; suite/go.mod pins it. */
export const version = "v1.37.2";

/** The folder of built programs, kept between runs: $XDG_CACHE_HOME/skiff, or ~/.cache/skiff. */
export const cacheFolder = (): string =>
  join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "skiff", `conformance-${version}`);

const sources = new URL("suite/", import.meta.url).pathname;
const info = "k8s.io/component-base/version";
const flags = [
  "-s -w",
  `-X ${info}.gitVersion=${version}`,
  `-X ${info}.gitMajor=1 -X ${info}.gitMinor=37 -X ${info}.gitTreeState=clean`,
].join(" ");

/** The programs, in the order in which they are used, and the Go command that builds each. */
const programs: readonly [name: string, command: readonly string[], source: string][] = [
  ["ginkgo", ["build"], "github.com/onsi/ginkgo/v2/ginkgo"],
  ["kubectl", ["build", "-ldflags", flags], "k8s.io/kubernetes/cmd/kubectl"],
  ["agnhost", ["build", "-ldflags", flags], "k8s.io/kubernetes/test/images/agnhost"],
  ["e2e.test", ["test", "-c", "-ldflags", flags], "k8s.io/kubernetes/test/e2e"],
];

const binFolder = (): string => join(cacheFolder(), "bin");

/**
 * Builds what is missing from the Go module proxy and resolves with the folder of the programs. Needs Go 1.26; takes
 * some ten minutes and 5 GB the first time. Rejects with Go's own words.
 */
export async function buildSuite(progress: (text: string) => void): Promise<string> {
  const folder = binFolder();
  mkdirSync(folder, { recursive: true });
  for (const [name, command, source] of programs) {
    const target = join(folder, name);
    if (existsSync(target)) continue;
    progress(`building ${name} of Kubernetes ${version}`);
    const part = `${target}.${process.pid}`;
    await run("go", [...command, "-o", part, source], {
      cwd: sources,
      env: { ...process.env, CGO_ENABLED: "0", GOFLAGS: "-mod=readonly", GOTOOLCHAIN: "local" },
    });
    // A program under its final name is complete, even if a build was interrupted.
    renameSync(part, target);
  }
  return folder;
}

/** Files of the suite's own sources that images need, such as `test/images/agnhost/porter/localhost.crt`. */
export async function moduleFolder(): Promise<string> {
  const { stdout } = await run("go", ["list", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes"], {
    cwd: sources,
    env: { ...process.env, GOFLAGS: "-mod=readonly", GOTOOLCHAIN: "local" },
  });
  return stdout.trim();
}

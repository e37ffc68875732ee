import { readFile } from "node:fs/promises";
import { type BuiltImage, buildImage, type ImagePlan } from "./image.ts";
import { pushImage } from "./push.ts";
import type { TarMember } from "./tar.ts";

const applets = [
  ..."ash awk basename cat chmod chown cp cut date dd df dirname du echo env expr false find grep head hostname".split(
    " ",
  ),
  ..."httpd id ip kill ln ls md5sum mkdir mktemp mount mv nc nslookup od ping printenv printf ps pwd readlink rm".split(
    " ",
  ),
  ..."rmdir sed seq sh sha256sum sleep sort stat stty sync tail tar tee test touch tr true tty umask uname uniq".split(
    " ",
  ),
  ..."vi wc wget which whoami xargs yes".split(" "),
];

const folders: TarMember[] = [
  { path: "tmp", mode: 0o1777 },
  { path: "root", mode: 0o700 },
  { path: "etc" },
  { path: "etc/passwd", bytes: Buffer.from("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n") },
  { path: "etc/group", bytes: Buffer.from("root:x:0:\nnobody:x:65534:\n") },
];

/** Serves until its stop signal, as a web server does: busybox as a first process would ignore the signal. */
const serve = "httpd -f -p 80 -h /usr/share/nginx/html & trap 'kill $!; exit 0' TERM QUIT INT; wait $!";

/**
 * Images for tests without access to a registry: built from this machine's static busybox. They have the names of the
 * images that they replace, and nothing else of them.
 */
export async function standInImages(busybox = "/bin/busybox"): Promise<Record<string, BuiltImage>> {
  const base: TarMember[] = [
    { path: "bin/busybox", bytes: await readFile(busybox), mode: 0o755 },
    ...applets.map((name) => ({ path: `bin/${name}`, link: "busybox" })),
    ...folders,
  ];
  const shared: Pick<ImagePlan, "architecture" | "env"> = {
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
  };
  const page = "<!DOCTYPE html>\n<html>\n<head>\n<title>Welcome to nginx!</title>\n</head>\n</html>\n";
  const site: TarMember[] = [{ path: "usr/share/nginx/html/index.html", bytes: Buffer.from(page) }];
  const shell = buildImage({ ...shared, layers: [base], command: ["sh"] });
  const server = buildImage({ ...shared, layers: [base, site], command: ["sh", "-c", serve], ports: ["80/tcp"] });
  return { "busybox:latest": shell, "busybox:1.28": shell, "nginx:1.14.2": server, "nginx:latest": server };
}

/** Pushes the stand-ins under the names that a mirror of docker.io would use. */
export async function pushStandIns(registry: string): Promise<void> {
  for (const [name, image] of Object.entries(await standInImages())) {
    const [repository = "", tag = ""] = name.split(":");
    await pushImage(registry, `library/${repository}`, tag, image);
  }
}

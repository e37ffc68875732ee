#!/usr/bin/env bash
# @kubernetes/client-node 2.0.1: the promises of Cp.cpFromPod and Cp.cpToPod do not wait for the copy. Both call exec
# without awaiting it, so that they resolve before the connection is open, and nothing that fails later reaches the caller:
# a server that refuses the connection, a pod that does not exist, an error of tar in the container. Such an error is an
# unhandled rejection, which ends a Node.js process that has no handler for it.
# Seen below, with a port on which nothing listens: both promises resolve, and two rejections arrive without a handler.
# With a server that answers, the local file does not exist yet when `await cp.cpFromPod(…)` returns.
# The documentation says nothing of it; `await` suggests the opposite, and copies of small files over a fast network hide it.
# What avoids it: call Exec.exec with tar, and await its status callback and the end of the tar stream.
# Needs npm; Node.js 24.21.0 is installed beside it, since the package needs a newer one than Debian 12 has. Exits with 1 where the behaviour has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --prefix . @kubernetes/client-node@2.0.1 node@24.21.0 >/dev/null
mkdir source target
echo text >source/file

cat >copy.mjs <<'JS'
import { createServer } from "node:net";
import { Cp, KubeConfig } from "@kubernetes/client-node";

// A port that was free a moment ago: connections to it are refused.
const server = createServer().listen(0, "127.0.0.1");
await new Promise((done) => server.once("listening", done));
const { port } = server.address();
await new Promise((done) => server.close(done));

let unhandled = 0;
process.on("unhandledRejection", () => unhandled++);
const config = new KubeConfig();
config.loadFromClusterAndUser(
  { name: "c", server: `http://127.0.0.1:${port}`, skipTLSVerify: true },
  { name: "u", token: "x" },
);
const cp = new Cp(config);
const outcome = (promise) => promise.then(() => "resolved", () => "rejected");
console.log("cpFromPod", await outcome(cp.cpFromPod("default", "pod", "main", "file", "target")));
console.log("cpToPod", await outcome(cp.cpToPod("default", "pod", "main", "source", "/tmp")));
await new Promise((done) => setTimeout(done, 2000));
console.log("unhandled", unhandled);
process.exit();
JS

node_modules/.bin/node copy.mjs | tee seen
printf 'cpFromPod resolved\ncpToPod resolved\nunhandled 2\n' | cmp - seen

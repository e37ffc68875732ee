#!/usr/bin/env bash
# @grpc/grpc-js 1.14.7, the server: a request whose deserialized value is falsy in JavaScript ("", 0, false) counts as a
# request that never came. The server keeps the message in a variable and tests its truth to learn whether it has one.
# The handler is not called; the client gets status 12 (UNIMPLEMENTED), "Received no request message for server streaming
# method", for a unary method as well as for a server-streaming one. The same methods answer "a", 1 and {}.
# UNIMPLEMENTED misleads a Kubernetes component that speaks gRPC (CRI, CSI, device plugins, KMS): clients take it to mean
# that this server is too old for the method, and fall back or stop asking. Generated protobuf code is safe, since a
# message is an object there; a codec of one's own, as in a relay or in a test's stand-in, is not.
# What avoids it: a deserializer that always returns an object, such as the Buffer itself or { value }.
# Needs npm and Node 20 or later (seen with 20.20.2 and 24.21.0). Exits with 1 where the behaviour has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --prefix . @grpc/grpc-js@1.14.7 >/dev/null
cat >ask.cjs <<'JS'
const grpc = require("@grpc/grpc-js");

const encode = (value) => Buffer.from(JSON.stringify(value));
const decode = (bytes) => JSON.parse(bytes.toString());
const method = (path, responseStream) => ({
  path,
  requestStream: false,
  responseStream,
  requestSerialize: encode,
  requestDeserialize: decode,
  responseSerialize: encode,
  responseDeserialize: decode,
});
const methods = { unary: method("/example.Json/Unary", false), streaming: method("/example.Json/Streaming", true) };

const server = new grpc.Server();
server.addService(methods, {
  unary: (call, done) => done(null, [call.request]),
  streaming: (call) => {
    call.write([call.request]);
    call.end();
  },
});

const describe = (error) => `${grpc.status[error.code]}: ${error.details}`;

async function main(port) {
  const Client = grpc.makeGenericClientConstructor(methods, "Json");
  const client = new Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  const unary = (value) =>
    new Promise((resolve) => {
      client.unary(value, (error, answer) => resolve(error ? describe(error) : JSON.stringify(answer)));
    });
  const streaming = (value) =>
    new Promise((resolve) => {
      client
        .streaming(value)
        .on("error", (error) => resolve(describe(error)))
        .on("data", (answer) => resolve(JSON.stringify(answer)));
    });
  const refusal = (path) => `UNIMPLEMENTED: Received no request message for server streaming method ${path}`;
  let same = true;
  for (const value of ["a", 1, {}, "", 0, false]) {
    const answers = [await unary(value), await streaming(value)];
    const text = JSON.stringify(value);
    console.log(`${text} -> ${answers.join(" | ")}`);
    const wanted = value ? [`[${text}]`, `[${text}]`] : [refusal(methods.unary.path), refusal(methods.streaming.path)];
    same &&= answers.join() === wanted.join();
  }
  client.close();
  server.forceShutdown();
  process.exitCode = same ? 0 : 3;
}

server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  void main(port);
});
JS
node ask.cjs || { echo "the behaviour has changed"; exit 1; }
echo "@grpc/grpc-js 1.14.7 answers UNIMPLEMENTED to a request that deserializes to a falsy value"

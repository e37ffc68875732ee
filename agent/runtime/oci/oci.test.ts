import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { buildImage, packTar, pushImage, unpackTar } from "./index.ts";

test("stores files, folders, links, modes and long names in an archive", () => {
  const long = `${"folder/".repeat(20)}file`;
  const members = [
    { path: "dir/", mode: 0o1777 },
    { path: "bin/sh", link: "busybox", mode: 0o644 },
    { path: "empty", bytes: Buffer.alloc(0), mode: 0o600 },
    { path: long, bytes: Buffer.from("x".repeat(513)), mode: 0o644 },
  ];
  const archive = packTar(members);
  expect(archive.length % 512).toBe(0);
  expect(unpackTar(archive)).toEqual(members);
});

test("names the blobs in the manifest and builds the same image from the same plan", () => {
  const plan = {
    architecture: "amd64" as const,
    layers: [[{ path: "hello", bytes: Buffer.from("hello") }]],
    entrypoint: ["/hello"],
    env: { A: "b" },
    user: "1000",
  };
  const image = buildImage(plan);
  expect(buildImage(plan).manifest.digest).toBe(image.manifest.digest);
  const manifest = JSON.parse(image.manifest.bytes.toString());
  expect(manifest.config.digest).toBe(image.config.digest);
  expect(manifest.layers).toMatchObject([{ digest: image.layers[0]!.digest, size: image.layers[0]!.bytes.length }]);
  const config = JSON.parse(image.config.bytes.toString());
  expect(config.config).toMatchObject({ Entrypoint: ["/hello"], Env: ["A=b"], User: "1000" });
  const members = unpackTar(gunzipSync(image.layers[0]!.bytes));
  expect(Buffer.from(members[0]!.bytes!).toString()).toBe("hello");
});

test("uploads missing blobs, then the manifest; reports a refusal with its reason", async () => {
  const image = buildImage({ architecture: "amd64", layers: [[{ path: "x", bytes: Buffer.from("x") }]] });
  const seen: string[] = [];
  let refuse = false;
  const server = createServer((request, response) => {
    const url = decodeURIComponent(request.url ?? "");
    seen.push(`${request.method} ${url}`);
    request.resume().on("end", () => {
      if (refuse) response.writeHead(403).end("denied");
      else if (request.method === "HEAD") response.writeHead(url.endsWith(image.config.digest) ? 200 : 404).end();
      else if (request.method === "POST") response.writeHead(202, { location: "/upload?state=1" }).end();
      else response.writeHead(201).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await pushImage(url, "some/name", "1", image);
  expect(seen).toEqual([
    `HEAD /v2/some/name/blobs/${image.layers[0]!.digest}`,
    "POST /v2/some/name/blobs/uploads/",
    `PUT /upload?state=1&digest=${image.layers[0]!.digest}`,
    `HEAD /v2/some/name/blobs/${image.config.digest}`,
    "PUT /v2/some/name/manifests/1",
  ]);
  refuse = true;
  await expect(pushImage(url, "some/name", "2", image)).rejects.toThrow("403 denied");
  server.close();
});

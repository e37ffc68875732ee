import { once } from "node:events";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { systemClock } from "#base";
import { handClock } from "#test/make";
import { followFolder, type ManifestFault, manifestPort, type Source, type SourceOptions } from "./index.ts";
import { followUrl } from "./url.ts";

const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

async function temporary(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "skiff-manifests-"));
  opened.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

const manifest = (name: string, image = "i") =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name },
    spec: { containers: [{ name: "main", image }] },
  });

/** What a source reports, newest last. */
function follow(start: (options: SourceOptions) => Source, clock = systemClock) {
  const seen = {
    pods: [] as string[],
    images: [] as (string | undefined)[],
    faults: [] as ManifestFault[],
    readings: 0,
  };
  const source = start({
    ...{ node: "n", clock },
    update: (pods) => {
      seen.pods = pods.map(({ metadata }) => metadata.name ?? "");
      seen.images = pods.map(({ spec }) => spec?.containers[0]?.image);
    },
    faults: (faults) => {
      seen.faults = faults;
      seen.readings++;
    },
  });
  opened.push(() => source.stop());
  return { seen, source };
}

const eventually = (check: () => void) => vi.waitFor(check, { timeout: 20_000, interval: 20 });

test("a folder's manifests are followed: added, changed, removed; hidden files and folders are not read", async () => {
  const folder = await temporary();
  await writeFile(join(folder, "b.yaml"), manifest("b"));
  await writeFile(join(folder, ".hidden"), manifest("hidden"));
  await mkdir(join(folder, "inner"));
  const { seen, source } = follow((options) => followFolder(folder, options));
  await source.read;
  await eventually(() => expect(seen.readings).toBeGreaterThan(0));
  expect(seen.pods).toEqual(["b-n"]);
  expect(seen.faults).toEqual([
    { place: join(folder, "inner"), message: "is a folder; manifests are read from the folder above only" },
  ]);
  await writeFile(join(folder, "a.yaml"), manifest("a"));
  await eventually(() => expect(seen.pods).toEqual(["a-n", "b-n"]));
  await writeFile(join(folder, ".draft"), manifest("b", "other"));
  await rename(join(folder, ".draft"), join(folder, "b.yaml"));
  await eventually(() => expect(seen.images).toEqual(["i", "other"]));
  await rm(join(folder, "a.yaml"));
  await eventually(() => expect(seen.pods).toEqual(["b-n"]));
});

test("a malformed file is reported, and its last good version counts until the file is removed", async () => {
  const folder = await temporary();
  const path = join(folder, "web.yaml");
  await writeFile(path, manifest("web"));
  const { seen, source } = follow((options) => followFolder(folder, options));
  await source.read;
  await writeFile(path, "kind: Nothing\n");
  await eventually(() => expect(seen.faults).toHaveLength(1));
  expect(seen.faults[0]).toMatchObject({ place: path, message: expect.stringContaining("expected a v1 Pod") });
  expect(seen.pods).toEqual(["web-n"]);
  await writeFile(path, manifest("web", "new"));
  await eventually(() => expect([seen.faults, seen.images]).toEqual([[], ["new"]]));
  await rm(path);
  await eventually(() => expect(seen.pods).toEqual([]));
});

test("a folder that is created later, and removed and created again, is found", async () => {
  const root = await temporary();
  const folder = join(root, "later");
  const clock = handClock();
  const { seen, source } = follow((options) => followFolder(folder, options), clock);
  await source.read;
  expect(seen.pods).toEqual([]);
  for (const name of ["one", "two"]) {
    await mkdir(folder);
    await writeFile(join(folder, "pod.yaml"), manifest(name));
    await vi.waitFor(
      () => {
        clock.move(20_000);
        expect(seen.pods).toEqual([`${name}-n`]);
      },
      { timeout: 20_000, interval: 20 },
    );
    await rm(folder, { recursive: true });
    await vi.waitFor(
      () => {
        clock.move(20_000);
        expect(seen.pods).toEqual([]);
      },
      { timeout: 20_000, interval: 20 },
    );
  }
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  opened.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/pods`;
}

test("a URL is polled; what cannot be used is reported, and the last good answer counts", async () => {
  const state = { answer: (_response: Parameters<RequestListener>[1]) => {}, headers: {} as object };
  const url = await serve((request, response) => {
    state.headers = request.headers;
    state.answer(response);
  });
  state.answer = (response) => response.end(manifest("web"));
  const clock = handClock();
  const { seen, source } = follow((options) => followUrl({ ...options, url, headers: { "x-token": "secret" } }), clock);
  await source.read;
  await eventually(() => expect(seen.readings).toBe(1));
  expect(seen.pods).toEqual(["web-n"]);
  expect(state.headers).toMatchObject({ "x-token": "secret" });
  const next = async (answer: typeof state.answer) => {
    state.answer = answer;
    const { readings } = seen;
    clock.move(20_000);
    await eventually(() => expect(seen.readings).toBeGreaterThan(readings));
    return seen.faults.map(({ message }) => message);
  };
  expect(
    await next((response) => {
      response.statusCode = 503;
      response.end();
    }),
  ).toEqual(["the answer was 503 Service Unavailable"]);
  expect(await next((response) => response.end("kind: Nothing"))).toEqual([
    expect.stringContaining("expected a v1 Pod"),
  ]);
  // 100 MB: reading stops at the limit.
  const tooLong = await next((response) => {
    const piece = Buffer.alloc(2 ** 20, " ");
    const more = (): void => {
      while (!response.destroyed && response.write(piece)) {}
      response.once("drain", more);
    };
    more();
  });
  expect(tooLong).toEqual(["the answer has more than 10485760 bytes"]);
  expect(await next((response) => response.destroy())).toHaveLength(1);
  expect(seen.pods).toEqual(["web-n"]);
  expect(await next((response) => response.end(manifest("web")))).toEqual([]);
  await next((response) => response.end());
  expect(seen.pods).toEqual([]);
});

test("a port takes manifests from the holder of the token, and keeps them", async () => {
  const root = await temporary();
  const options = { port: 0, folder: join(root, "manifests"), tokenFile: join(root, "token"), node: "n" };
  const { readFile, stat } = await import("node:fs/promises");
  const first = await manifestPort(options);
  const token = (await readFile(options.tokenFile, "utf8")).trim();
  expect((await stat(options.tokenFile)).mode & 0o777).toBe(0o600);
  const ask = async (method: string, path: string, body?: string, authorization = `Bearer ${token}`) => {
    const answer = await fetch(`http://127.0.0.1:${first.port}${path}`, {
      method,
      headers: { authorization },
      ...(body === undefined ? {} : { body }),
    });
    return [answer.status, await answer.text()] as const;
  };
  expect((await ask("GET", "/manifests", undefined, "Bearer wrong"))[0]).toBe(401);
  expect(await ask("PUT", "/manifests/web", manifest("web"))).toEqual([200, '{"pods":["default/web-n"]}\n']);
  expect(await ask("GET", "/manifests")).toEqual([200, '{"manifests":["web"]}\n']);
  expect(await ask("GET", "/manifests/web")).toEqual([200, manifest("web")]);
  const refused = await ask("PUT", "/manifests/web", "kind: Nothing");
  expect(refused).toEqual([400, expect.stringContaining("expected a v1 Pod")]);
  expect((await ask("PUT", "/manifests/..%2Fx", manifest("x")))[0]).toBe(404);
  expect((await ask("POST", "/manifests/web", manifest("x")))[0]).toBe(405);
  expect((await ask("PUT", "/manifests/long", " ".repeat(11 * 2 ** 20)).catch(() => [413]))[0]).toBe(413);
  await first.stop();
  const { seen, source } = follow((more) => followFolder(options.folder, more));
  const second = await manifestPort(options);
  opened.push(() => second.stop());
  await source.read;
  expect(seen.pods).toEqual(["web-n"]);
  const removed = await fetch(`http://127.0.0.1:${second.port}/manifests/web`, {
    method: "DELETE",
    headers: { authorization: `Bearer ${token}` },
  });
  expect(removed.status).toBe(200);
  await eventually(() => expect(seen.pods).toEqual([]));
  await expect(manifestPort({ ...options, port: second.port })).rejects.toThrow("EADDRINUSE");
});

import { constants } from "node:fs";
import { lstat, open, readdir, realpath, stat } from "node:fs/promises";
import type { ServerHttp2Stream } from "node:http2";
import { join, sep } from "node:path";
import { pipeline } from "node:stream/promises";
import { ApiError } from "#base";

/**
 * Serves a file or the list of a folder, as the kubelet serves /logs/ by Go's FileServer, whose form the list has. What
 * is not below the folder is not found, whatever links lead there: others may create links in it.
 */
export async function serveLogs(stream: ServerHttp2Stream, folder: string, path: string): Promise<void> {
  const found = await inside(folder, path).catch(() => undefined);
  const about = found === undefined ? undefined : await stat(found).catch(() => undefined);
  if (found === undefined || !(about?.isFile() || about?.isDirectory())) throw notThere();
  const name = path.replace(/\/$/, "").replace(/^.*\//, "");
  if (about.isFile()) return path.endsWith("/") ? moved(stream, `../${name}`) : sendFile(stream, found);
  if (path !== "" && !path.endsWith("/")) return moved(stream, `${name}/`);
  return list(stream, found);
}

async function sendFile(stream: ServerHttp2Stream, path: string): Promise<void> {
  // Neither follows a link nor waits for a writer, should the file have been replaced by one or by a pipe.
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    // No more than its size now: a log grows.
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(512), 0, 512, 0);
    const isText = !buffer.subarray(0, bytesRead).includes(0);
    if (stream.destroyed) return;
    const type = isText ? "text/plain; charset=utf-8" : "application/octet-stream";
    stream.respond({ ":status": 200, "content-type": type, "content-length": size });
    if (size === 0) stream.end();
    else await pipeline(file.createReadStream({ start: 0, end: size - 1, autoClose: false }), stream);
  } finally {
    await file.close();
  }
}

const notThere = (): ApiError => new ApiError(404, "NotFound", "404 page not found");

/** The real path. Throws when it does not exist or is not below the folder. */
async function inside(folder: string, path: string): Promise<string> {
  const root = await realpath(folder);
  const real = await realpath(join(root, path.replace(/\/$/, "")));
  if (real !== root && !real.startsWith(root + sep)) throw notThere();
  return real;
}

function moved(stream: ServerHttp2Stream, location: string): void {
  const encoded = location.split("/").map(encodeURIComponent).join("/");
  stream.respond({ ":status": 301, location: encoded });
  stream.end();
}

async function list(stream: ServerHttp2Stream, folder: string): Promise<void> {
  const names = (await readdir(folder)).sort();
  const lines = await Promise.all(
    names.map(async (name) => {
      const shown = (await lstat(join(folder, name)).catch(() => undefined))?.isDirectory() ? `${name}/` : name;
      const link = shown.split("/").map(encodeURIComponent).join("/");
      return `<a href="${link}">${shown.replace(/[&<>"']/g, (mark) => `&#${mark.charCodeAt(0)};`)}</a>\n`;
    }),
  );
  if (stream.destroyed) return;
  stream.respond({ ":status": 200, "content-type": "text/html; charset=utf-8" });
  const head = '<!doctype html>\n<meta name="viewport" content="width=device-width">\n';
  stream.end(`${head}<pre>\n${lines.join("")}</pre>\n`);
}

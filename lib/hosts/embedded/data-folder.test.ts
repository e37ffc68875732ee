import { expect, test } from "vitest";
import { dataFolder, lockFolder, unusable } from "./data-folder.ts";

// Error codes of node:fs and node:sqlite; SQLite's are extended ones.
test.each([
  [{ code: "ENOSPC" }, "the disk that holds it is full"],
  [{ code: "EROFS" }, "its file system is read-only"],
  [{ code: "EACCES" }, "it may not be written by this user"],
  [{ errcode: 13 }, "the disk that holds it is full"],
  [{ errcode: 1032 }, "its file system is read-only"],
  [{ errcode: 14 }, "its file system cannot hold it"],
  [{ errcode: 3850 }, "its file system has no file locks"],
  [{ errcode: 5130 }, "its file system has no file locks"],
])("a data folder that cannot be used is named with the reason: %o", (codes, reason) => {
  const cause = Object.assign(new Error("the library's words"), codes);
  const { message } = unusable(dataFolder("/srv/cluster"), new Error("wrapped", { cause }));
  expect(message).toBe(`the data folder /srv/cluster cannot be used: ${reason} (the library's words)`);
});

test("passes an unknown error on in one line", () => {
  expect(unusable(dataFolder("/srv/cluster"), new Error("odd")).message).toBe(
    "the data folder /srv/cluster cannot be used: odd",
  );
});

test.each([
  ["/proc/none/below", "its file system cannot hold it"],
  ["/dev/null", "it, or a part of its path, is a file"],
  ["/dev/null/below", "it, or a part of its path, is a file"],
])("refuses a data folder that cannot be created: %s", (path, reason) => {
  expect(() => lockFolder(dataFolder(path))).toThrow(`the data folder ${path} cannot be used: ${reason} (`);
});

import { expect, test } from "vitest";
import { Files } from "./files.ts";
import { Killed } from "./process.ts";
import { execute, oneChunk } from "./run.ts";

async function sh(script: string, input = "", files = new Files([])) {
  const out: Uint8Array[] = [];
  const err: Uint8Array[] = [];
  const stop = new AbortController();
  const code = await execute({
    args: ["/bin/sh", "-c", script, "zero", "one"],
    env: { NAME: "value with  blanks" },
    cwd: "/",
    hostname: "here",
    files,
    stdin: oneChunk(Buffer.from(input)),
    stdout: (bytes) => out.push(bytes),
    stderr: (bytes) => err.push(bytes),
    signal: stop.signal,
    sleep: async (milliseconds) => {
      if (milliseconds > 1000) stop.abort();
    },
    now: () => 0,
    listen: () => {},
  });
  return { code, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() };
}

test.each([
  ['echo "$NAME" $NAME $1', "value with  blanks value with blanks one\n"],
  ["echo a; echo b && echo c || echo d", "a\nb\nc\n"],
  ["false || echo 'single $NAME'", "single $NAME\n"],
  ["i=0; while [ $i -lt 3 ]; do echo $i; i=$((i+1)); done", "0\n1\n2\n"],
  ["for x in a b 'c d'; do echo \"<$x>\"; done", "<a>\n<b>\n<c d>\n"],
  ["if test -f /x; then echo yes; elif true; then echo elif; else echo no; fi", "elif\n"],
  ["echo one > /f; echo two >> /f; cat /f | wc -l; cat < /f", "2\none\ntwo\n"],
  ['echo "$(echo in; echo ner)" $(( (2 + 3) * 4 % 7 )) $' + "{MISSING:-fallback}", "in\nner 6 fallback\n"],
  ["! true; echo $?", "1\n"],
  ["# only a comment\necho after", "after\n"],
  ["mkdir -p /a/b; echo x > /a/b/c; cd /a; tar cf - b > /t; rm -rf b; ls /a; tar xf - -C /z < /t; cat /z/b/c", "x\n"],
])("%s", async (script, expected) => {
  expect(await sh(script)).toEqual({ code: 0, out: expected, err: "" });
});

test("sets exit codes, passes the input and writes errors to stderr", async () => {
  expect(await sh("cat; exit 9; echo never", "typed")).toEqual({ code: 9, out: "typed", err: "" });
  expect(await sh("set -e; cat /none; echo 1>&2 on")).toMatchObject({ code: 0, err: /none.*on/s });
  expect((await sh("echo $((1/0))")).code).toBe(2);
});

test("refuses unsupported syntax by name", async () => {
  expect(await sh("curl http://x")).toMatchObject({ code: 127, err: expect.stringContaining('"curl"') });
  expect(await sh("(echo x)")).toMatchObject({ code: 2, err: expect.stringContaining("(: not in this shell") });
  expect(await sh("sleep 1 &")).toMatchObject({ code: 2, err: expect.stringContaining("&: not in") });
  expect(await sh("case x in esac")).toMatchObject({
    code: 2,
    err: expect.stringContaining("case: not in this shell"),
  });
});

test("a kill ends every running program", async () => {
  await expect(sh("while true; do sleep 5; done")).rejects.toBeInstanceOf(Killed);
});

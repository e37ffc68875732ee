import { expect, test } from "vitest";
import { LinkRewriter } from "./html.ts";
import { rewriteLink } from "./links.ts";

const prefix = "/api/v1/namespaces/default/pods/p/proxy";
const context = { targetHost: "10.0.0.2:8080", clientHost: "127.0.0.1:6443", prefix };

// Seen on v1.37.2 with these links in a Location header.
test.each([
  ["/abs", `${prefix}/abs`],
  ["rel", "rel"],
  ["http://10.0.0.2:8080/own", `${prefix}/own`],
  ["//10.0.0.2:8080/p", `${prefix}/p`],
  ["http://127.0.0.1:6443/client", `http://127.0.0.1:6443${prefix}/client`],
  ["https://other/x", "https://other/x"],
  [`${prefix}/done`, `${prefix}/done`],
  ["/a%2520b/?q#f", `${prefix}/a%2520b/?q#f`],
  ["/a/../b/", `${prefix}/b/`],
  ["mailto:a@b", "mailto:a@b"],
  ["", ""],
])("rewrites the link %s to %s", (link, expected) => {
  expect(rewriteLink(link, context)).toBe(expected);
});

async function rewritten(page: string, size: number): Promise<string> {
  const rewriter = new LinkRewriter((link) => rewriteLink(link, context));
  const bytes = Buffer.from(page);
  for (let at = 0; at < bytes.length; at += size) rewriter.write(bytes.subarray(at, at + size));
  rewriter.end();
  let out = "";
  for await (const chunk of rewriter) out += chunk;
  return out;
}

// The same links as v1.37.2 rewrites, which also writes the rest of each tag in a canonical form.
const page = [
  `<!DOCTYPE html><HTML><head><title><a href="/no"></title><script>var a='<a href="/no">'; if (1 </3/.x) {}</script>`,
  `<LINK rel=stylesheet HREF='/x.css'></head><body background=/bg.png><a CLASS=x href="/abs?q=1&amp;r=2#f">é</a>`,
  `<a href="rel/x">b</a> 1 < 2 <a href="http://10.0.0.2:8080/own">c</a><a href="https://other.example/x">d</a>`,
  `<!-- <a href="/no"> --><img src="/i.png" alt="a > b"/><form action="//127.0.0.1:6443/z/"></form><p href="/no">`,
].join("");
const expected = [
  `<!DOCTYPE html><HTML><head><title><a href="/no"></title><script>var a='<a href="/no">'; if (1 </3/.x) {}</script>`,
  `<LINK rel=stylesheet HREF="${prefix}/x.css"></head><body background="${prefix}/bg.png">`,
  `<a CLASS=x href="${prefix}/abs?q=1&amp;r=2#f">é</a>`,
  `<a href="rel/x">b</a> 1 < 2 <a href="${prefix}/own">c</a><a href="https://other.example/x">d</a>`,
  `<!-- <a href="/no"> --><img src="${prefix}/i.png" alt="a > b"/>`,
  `<form action="//127.0.0.1:6443${prefix}/z/"></form><p href="/no">`,
].join("");

test.each([1, 2, 3, 7, 64, 10_000])("rewrites the links of a page that arrives in chunks of %d bytes", async (size) => {
  expect(await rewritten(page, size)).toBe(expected);
});

test.each(["<a href=", "<!-", "<!-- x", "<script>x</scr", "<", '<a href="/x', "</", "a<"])(
  "passes the unfinished page %s on",
  async (text) => {
    expect(await rewritten(text, 1)).toBe(text);
  },
);

test("passes a tag without an end on, with bounded memory", async () => {
  const long = `<a title="${"x".repeat(2_000_000)}`;
  expect(await rewritten(long, 65_536)).toBe(long);
});

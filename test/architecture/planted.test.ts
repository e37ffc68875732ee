import { expect, test } from "vitest";
import { rooms } from "./rooms.ts";
import { survey } from "./survey.ts";

const doors = {
  "#base": "./lib/base/index.ts",
  "#store": "./lib/store/index.ts",
  "#store/*": "./lib/store/*/index.ts",
  "#api": "./lib/api/index.ts",
};
const judge = (file: string, text: string) =>
  survey({ sources: [{ file, text }], doors, kinds: ["Deployment"] }).violations;

const planted: [string, string, string, RegExp][] = [
  ["a wall", "lib/store/x.ts", `import { y } from "../api/index.ts";`, /climbs through the wall into lib\/api/],
  ["a room that may not be seen", "lib/controllers/x.ts", `import { y } from "#store";`, /may not see lib\/store/],
  [
    "a driver outside a host",
    "lib/controlplane/x.ts",
    `import { y } from "#store/sqlite";`,
    /may not see lib\/store\/sqlite/,
  ],
  ["a store in the rules of services", "agent/network/x.ts", `import "#store";`, /may not see lib\/store/],
  ["a store in the shutdown of a node", "agent/shutdown/x.ts", `import "#store";`, /may not see lib\/store/],
  ["a file in the reader of certificates", "lib/x509/x.ts", `import "node:fs";`, /may not use package node:fs/],
  ["a file in the rules of tokens", "lib/bootstrap-tokens/x.ts", `import "node:fs";`, /may not use package node:fs/],
  ["a file in the rules of joining", "lib/joining/x.ts", `import "node:fs";`, /may not use package node:fs/],
  ["a store in the API inside pods", "agent/api-relay/x.ts", `import "#store";`, /may not see lib\/store/],
  ["a signature in the headers for API Gateway", "lib/aws/http/x.ts", `import "node:crypto";`, /package node:crypto/],
  ["a store in gRPC", "agent/grpc/x.ts", `import "#store";`, /may not see lib\/store/],
  ["a kind in CNI networks", "agent/runtime/cni/x.ts", `import "#api";`, /may not see lib\/api/],
  ["a kind in the docker runtime", "agent/runtime/docker/x.ts", `import "#api";`, /may not see lib\/api/],
  ["a store in CSI", "agent/csi/x.ts", `import "#store";`, /may not see lib\/store/],
  ["a store in the routes to other nodes", "agent/overlay/x.ts", `import "#store";`, /may not see lib\/store/],
  ["a package", "lib/base/x.ts", `import z from "zod";`, /may not use package zod/],
  ["a comment before the specifier", "lib/base/x.ts", `import z from /* well */ "zod";`, /package zod/],
  ["a dynamic import", "lib/base/x.ts", `const z = await import("zod");`, /package zod/],
  ["a required module", "lib/base/x.ts", `const z = require("zod");`, /package zod/],
  ["a built-in module", "lib/base/x.ts", `const fs = process.getBuiltinModule("node:fs");`, /package node:fs/],
  ["an export from", "lib/base/x.ts", `export * from "zod";`, /package zod/],
  ["a worker's URL", "lib/store/x.ts", `new Worker(new URL("../api/worker.ts", import.meta.url));`, /climbs/],
  ["a door that is not there", "lib/wire/x.ts", `import "#nowhere";`, /no door #nowhere/],
  ["a file in no room", "lib/other/x.ts", "", /lives in no room/],
  ["the clock", "lib/api/x.ts", "const now = Date.now();", /Date comes in/],
  ["chance", "lib/reconcile/x.ts", "const x = Math.random();", /Math\.random comes in/],
  ["a timer", "lib/scheduler/x.ts", "setTimeout(() => {}, 1);", /setTimeout comes in/],
  ["a kind in a generic room", "lib/apiserver/x.ts", `if (kind.kind === "Deployment") {}`, /names the kind Deployment/],
  ["a kind's type in a generic room", "lib/wire/x.ts", "let x: Deployment;", /names the kind Deployment/],
  ["a file that is too long", "lib/base/x.ts", "let x;\n".repeat(420), /420 lines/],
  ["a line that is too wide", "lib/base/x.ts", `const x = ${"a + ".repeat(40)}b;`, /wider than 120/],
  ["a room without a word", "lib/base/index.ts", "export {};", /opens with a comment/],
  ["a port that is too wide", "lib/base/x.ts", `interface Client { ${"a(): void; ".repeat(9)} }`, /9 methods/],
];

test.each(planted)("the checker sees %s", (_name, file, text, expected) => {
  expect(judge(file, text).join("\n")).toMatch(expected);
});

const innocent: [string, string, string][] = [
  ["an import in a comment", "lib/base/x.ts", `// import z from "zod";\n/* import "zod" */`],
  ["an import in a string", "lib/base/x.ts", `const text = 'import z from "zod"';`],
  ["an import in a template", "lib/base/x.ts", 'const text = `import z from "zod" $' + "{1 + `}`.length}`;"],
  [
    "a slash that divides, and one that does not",
    "lib/base/x.ts",
    `const a = b / c; const r = /from "zod"/; return /"/.test(a);`,
  ],
  ["a member called like the clock", "lib/api/x.ts", "const x = { process: 1 }; x.process;"],
  ["a relative path inside the room", "lib/api/core/x.ts", `import { y } from "../meta/index.ts";`],
  ["a test that uses the test runner", "lib/base/x.test.ts", `import { test } from "vitest";`],
];

test.each(innocent)("the checker lets %s be", (_name, file, text) => {
  expect(judge(file, text)).toEqual([]);
});

const everyDoor = { "#agent": "./agent/index.ts", "#infra": "./infra/index.ts", "#hosts/*": "./lib/hosts/*/index.ts" };
const doorOf: Readonly<Record<string, string>> = {
  agent: "#agent",
  infra: "#infra",
  "lib/hosts/gateway": "#hosts/gateway",
};
const walled = Object.entries(rooms).filter(([, { sees }]) => !sees.includes("*"));

test.each(walled)("the checker sees what %s may not import", (room, { sees }) => {
  const [other] = Object.keys(doorOf).filter((name) => name !== room && !sees.includes(name));
  const text = `import x from "no-such-package";\nimport y from "${doorOf[other!]}";`;
  const { violations } = survey({ sources: [{ file: `${room}/x.ts`, text }], doors: everyDoor, kinds: [] });
  expect(violations.join("\n")).toMatch(/may not use package no-such-package/);
  expect(violations.join("\n")).toContain(`may not see ${other}`);
});

const seams: [string, string, string, RegExp][] = [
  [
    "HTTP in the resource service",
    "lib/resources/x.ts",
    `import { y } from "#apiserver";`,
    /may not see lib\/apiserver/,
  ],
  [
    "authentication in the resource service",
    "lib/resources/x.ts",
    `import { y } from "#auth";`,
    /may not see lib\/auth/,
  ],
  ["a socket in the resource service", "lib/resources/x.ts", `import "node:http";`, /package node:http/],
  [
    "admission in the API server",
    "lib/apiserver/x.ts",
    `import { y } from "#admission";`,
    /may not see lib\/admission/,
  ],
  ["the API server in a controller", "lib/controllers/x.ts", `import { y } from "#resources";`, /see lib\/resources/],
  ["a file in the kubelet's rules", "lib/kubelet/x.ts", `import "node:fs";`, /package node:fs/],
  ["a client in the kubelet's rules", "lib/kubelet/x.ts", `import { y } from "#client";`, /may not see lib\/client/],
  [
    "the authority's key in the API function",
    "functions/api/x.ts",
    `import "#hosts/aws/authority/issuing";`,
    /may not see lib\/hosts\/aws\/authority\/issuing/,
  ],
  ["ECS in the API's bundle", "functions/api/x.ts", `import "@aws-sdk/client-ecs";`, /package @aws-sdk\/client-ecs/],
  ["a cloud in the tick's bundle", "functions/tick/x.ts", `import { y } from "#cloud/aws";`, /see lib\/cloud\/aws/],
  [
    "signing keys in the reconciler's bundle",
    "functions/reconcile/x.ts",
    `import "#auth/service-account";`,
    /may not see lib\/auth\/service-account/,
  ],
];
const seamDoors = {
  "#apiserver": "./lib/apiserver/index.ts",
  "#resources": "./lib/resources/index.ts",
  "#admission": "./lib/admission/index.ts",
  "#auth": "./lib/auth/index.ts",
  "#auth/*": "./lib/auth/*/index.ts",
  "#client": "./lib/client/index.ts",
  "#cloud/*": "./lib/cloud/*/index.ts",
  "#hosts/*": "./lib/hosts/*/index.ts",
};

test.each(seams)("the checker sees %s", (_name, file, text, expected) => {
  const { violations } = survey({ sources: [{ file, text }], doors: seamDoors, kinds: [] });
  expect(violations.join("\n")).toMatch(expected);
});

import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { type BuildOptions, build, type OutputFile, type Plugin } from "esbuild";
import { type FunctionName, functionNames, functions } from "./functions.ts";

export type ImageName = "agent" | "gateway";

/** The folders of built code, ready to be uploaded. */
export interface Bundles {
  /** Folder with `index.mjs` for each function, and beside it the chunks that are loaded on demand. */
  functions: Record<FunctionName, string>;
  /** Folder with `agent.mjs`. */
  agent: string;
  /** Folders that images are built of, each with its code and its Dockerfile. */
  images: Record<ImageName, string>;
  /** Bytes of each function's code. */
  sizes: Record<FunctionName, number>;
  /** Changes whenever some function's code does. */
  hash: string;
}

export interface BundleOptions {
  /** The folder with one folder for each function. */
  source: string;
  /** The agent's first file. */
  agent: string;
  /** The gateway's first file. */
  gateway: string;
  /** The output folder. Source maps go to its `maps`, which is not uploaded. */
  output: string;
}

/**
 * Some packages load their parts with `require`, which modules do not have. The names are reserved for this purpose.
 */
const banner =
  'import{createRequire as __skiffRequire}from"node:module";const require=__skiffRequire(import.meta.url);';

/** Drops all of zod's error languages except the one in use: they are a sixth of each bundle. */
const oneLanguage: Plugin = {
  name: "one-language",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /\/locales\/index\.js$/ }, ({ path, importer }) =>
      /node_modules\/zod\//.test(importer.replaceAll("\\", "/")) ? { path, namespace: "one-language" } : undefined,
    );
    onLoad({ filter: /.*/, namespace: "one-language" }, () => ({ contents: "export {};" }));
  },
};

/** Lambda provides credentials in the environment, and by none of the SDK's other ten ways. */
const credentialsOfLambda: Plugin = {
  name: "credentials-of-lambda",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^@aws-sdk\/credential-provider-node$/ }, ({ path, resolveDir }) => ({
      path,
      namespace: "credentials-of-lambda",
      pluginData: resolveDir,
    }));
    onLoad({ filter: /.*/, namespace: "credentials-of-lambda" }, ({ pluginData }) => ({
      contents:
        'import { fromEnv } from "@aws-sdk/credential-provider-env"; export const defaultProvider = () => fromEnv();',
      resolveDir: pluginData as string,
    }));
  },
};

/** Drops the parser of browsers' user agents, which the SDK loads in browsers only: 34 KB of each bundle. */
const noBrowser: Plugin = {
  name: "no-browser",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^bowser$/ }, ({ path }) => ({ path, namespace: "no-browser" }));
    onLoad({ filter: /.*/, namespace: "no-browser" }, () => ({ contents: "export const parse = () => undefined;" }));
  },
};

/**
 * Loads Node's own modules by require. An import reads all their exports, and so loads parts that Node loads lazily:
 * WebSocket, fetch, argon2. That is a tenth of a cold start.
 */
const builtinsByRequire: Plugin = {
  name: "builtins-by-require",
  setup({ onResolve, onLoad }) {
    const namespace = "builtin";
    onResolve({ filter: /^(node:)?[a-z_/]+$/ }, ({ path, kind }) =>
      kind !== "require-call" && isBuiltin(path) ? { path, namespace } : undefined,
    );
    onLoad({ filter: /.*/, namespace }, ({ path }) => ({ contents: `module.exports = require("${path}");` }));
  },
};

const shared = {
  bundle: true,
  platform: "node",
  target: "node24",
  format: "esm",
  minify: true,
  sourcemap: "external",
  sourcesContent: false,
  legalComments: "none",
  // The packages' ES modules are smaller than their CommonJS ones.
  mainFields: ["module", "main"],
  banner: { js: banner },
  write: false,
  logLevel: "error",
} satisfies BuildOptions;

/**
 * Builds every function, the agent and the gateway. Throws when a function of the table has no `index.ts`, when a
 * folder has no row, when a build fails, and when a bundle exceeds its budget.
 */
export async function bundle({ source, agent, gateway, output: folder }: BundleOptions): Promise<Bundles> {
  const output = resolve(folder);
  const missing = functionNames.filter((name) => !existsSync(join(source, name, "index.ts")));
  if (missing.length > 0) throw new Error(`${source}: no index.ts for ${missing.join(", ")}`);
  const unknown = foldersOf(source).filter((name) => !(functionNames as string[]).includes(name));
  if (unknown.length > 0) throw new Error(`${source}: ${unknown.join(", ")} is not in the table of functions`);
  rmSync(output, { recursive: true, force: true });
  const built = (name: string) => join(output, name);
  const buildPart = async (folder: string, entry: { in: string; out: string }, options: BuildOptions) => {
    const where = { entryPoints: [entry], outdir: built(folder), outExtension: { ".js": ".mjs" } };
    return write((await build({ ...shared, ...where, ...options, write: false })).outputFiles, output);
  };
  const inLambda = { splitting: true, chunkNames: "[name]-[hash]" };
  const plugins = [oneLanguage, credentialsOfLambda, noBrowser, builtinsByRequire];
  const parts = await Promise.all(
    functionNames.map((name) =>
      buildPart(name, { in: join(source, name, "index.ts"), out: "index" }, { ...inLambda, plugins }),
    ),
  );
  const code = new Map(parts.flatMap((part) => [...part]));
  await buildPart("agent", { in: agent, out: "agent" }, { plugins: [oneLanguage, noBrowser] });
  await buildPart("images/gateway", { in: gateway, out: "gateway" }, { plugins: [oneLanguage, noBrowser] });
  const images = { agent: built("images/agent"), gateway: built("images/gateway") };
  mkdirSync(images.agent, { recursive: true });
  copyFileSync(join(built("agent"), "agent.mjs"), join(images.agent, "agent.mjs"));
  for (const [name, target] of Object.entries(images)) {
    const around = join(import.meta.dirname, "images", name);
    for (const file of readdirSync(around)) copyFileSync(join(around, file), join(target, file));
  }
  const sizes = Object.fromEntries(functionNames.map((name, index) => [name, total(parts[index]!)])) as Record<
    FunctionName,
    number
  >;
  for (const name of functionNames) {
    const { budget } = functions[name];
    if (sizes[name] > budget) throw new Error(`functions/${name}: its bundle has ${sizes[name]} bytes, over ${budget}`);
  }
  const hash = createHash("sha256");
  for (const name of [...code.keys()].sort()) hash.update(name).update(code.get(name)!);
  return {
    functions: Object.fromEntries(functionNames.map((name) => [name, built(name)])) as Record<FunctionName, string>,
    agent: built("agent"),
    images,
    sizes,
    hash: hash.digest("hex"),
  };
}

const total = (code: ReadonlyMap<string, Uint8Array>): number =>
  [...code.values()].reduce((sum, { length }) => sum + length, 0);

/** Writes code to its folder and source maps elsewhere. Returns the code, by path below `output`. */
function write(files: readonly OutputFile[], output: string): Map<string, Uint8Array> {
  const code = new Map<string, Uint8Array>();
  for (const { path, contents } of files) {
    const name = relative(output, path);
    const isMap = name.endsWith(".map");
    const target = isMap ? join(output, "maps", name) : join(output, name);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, contents);
    if (!isMap) code.set(name, contents);
  }
  return code;
}

/** The folders of functions. */
export const foldersOf = (source: string): string[] =>
  readdirSync(source, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(source, entry.name, "index.ts")))
    .map(({ name }) => name)
    .sort();

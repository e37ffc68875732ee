import { readFileSync } from "node:fs";
import { join } from "node:path";
import { App } from "aws-cdk-lib";
import { cloud } from "./app.ts";
import { bundle } from "./bundle.ts";
import { readConfig } from "./config.ts";

/*
 * The CDK app: `cdk synth`, `cdk deploy`, or by itself `node infra/main.ts`, which writes `cdk.out`. It needs no account
 * and no network to synthesize.
 */

const root = join(import.meta.dirname, "..");
// CDK's command passes the output folder; without it, its default.
const outdir = process.env["CDK_OUTDIR"] ?? join(root, "cdk.out");
const app = new App({ analyticsReporting: false, outdir });
try {
  const config = readConfig((key) => app.node.tryGetContext(key));
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  const bundles = await bundle({
    source: join(root, "functions"),
    agent: join(root, "agent/main.ts"),
    gateway: join(root, "lib/hosts/gateway/main.ts"),
    output: join(root, "dist/lambda"),
  });
  cloud(app, { config, bundles, version });
  app.synth();
} catch (error) {
  process.stderr.write(`skiff: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

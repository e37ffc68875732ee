import { createHash } from "node:crypto";
import { type App, aws_iam as iam, Stack, Tags, Validations } from "aws-cdk-lib";
import type { Bundles } from "./bundle.ts";
import { houseChecks } from "./checks.ts";
import type { Config } from "./config.ts";
import { noParts } from "./parts.ts";
import { alarmsStack } from "./stacks/alarms.ts";
import { apiStack } from "./stacks/api.ts";
import { controllersStack } from "./stacks/controllers.ts";
import { gatewayStack } from "./stacks/gateway.ts";
import { nodesStack } from "./stacks/nodes.ts";
import { storageStack } from "./stacks/storage.ts";

export interface CloudOptions {
  config: Config;
  bundles: Bundles;
  /** The project's version. */
  version: string;
}

/**
 * Adds a cluster's stacks to an app. Each stack uses what earlier ones created: storage, the API, nodes, controllers.
 */
export function cloud(app: App, { config, bundles, version }: CloudOptions): void {
  const parts = noParts();
  const stack = (name: string, what: string): Stack =>
    new Stack(app, `skiff-${config.cluster}-${name}`, {
      description: `Skiff ${config.cluster}: ${what}`,
      env: { region: config.region, ...(config.account === undefined ? {} : { account: config.account }) },
    });
  storageStack(stack("storage", "data and queues"), config, parts);
  const api = apiStack(stack("api", "the API"), {
    config,
    bundles,
    parts,
    version: `${version}-${fingerprint({ config, code: bundles.hash })}`,
  });
  const nodes = nodesStack(stack("nodes", "nodes"), { config, bundles, parts, api });
  const controllers = controllersStack(stack("controllers", "controllers"), { config, bundles, parts });
  if (config.gateway) gatewayStack(stack("gateway", "the API server as a service"), { config, bundles, parts, nodes });
  if (config.alarms.enabled)
    alarmsStack(stack("alarms", "alarms and notifications"), { config, parts, api, controllers });
  for (const [key, value] of Object.entries({ ...config.tags, "skiff:cluster": config.cluster })) {
    Tags.of(app).add(key, value);
  }
  if (config.permissionsBoundary !== undefined) {
    iam.PermissionsBoundary.of(app).apply(
      iam.ManagedPolicy.fromManagedPolicyArn(app.node.children[0] as Stack, "Boundary", config.permissionsBoundary),
    );
  }
  Validations.of(app).addPlugins(houseChecks(app));
}

/** A short hash of everything that the bootstrap depends on. */
const fingerprint = (inputs: unknown): string =>
  createHash("sha256").update(JSON.stringify(inputs)).digest("hex").slice(0, 16);

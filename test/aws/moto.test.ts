import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { App } from "aws-cdk-lib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundle, cloud, type Placed, parseConfig, readTemplates } from "#infra";
import { type Moto, motoServer, type Opinion, opinions, startMoto } from "./moto.ts";

const program = motoServer();

/** Every optional part of a configuration. */
const everything = {
  cluster: "test",
  region: "eu-west-1",
  account: "123456789012",
  administrator: "arn:aws:iam::123456789012:role/Administrator",
  nodeGroups: [
    { name: "arm", minimum: 1 },
    { name: "x86", architecture: "x86_64", spot: true },
  ],
  agentService: {},
  gateway: { allow: ["192.0.2.0/24"] },
  domain: {
    name: "kube.example.com",
    certificate: "arn:aws:acm:eu-west-1:123456789012:certificate/1",
    zone: { id: "Z1", name: "example.com" },
  },
  alarms: { enabled: true, level: "all", email: "operator@example.com" },
  fargate: true,
};

/** Resources that moto rejects and AWS accepts. */
const motosOwn = [
  // The zone is the account's, and does not exist here.
  "AWS::Route53::RecordSet: No hosted zone found with ID: Z1",
  // It reads every load balancer of a template as an application load balancer.
  "AWS::ElasticLoadBalancingV2::Listener: Listener protocol 'TCP' must be one of 'HTTP, HTTPS'",
];

describe.skipIf(program === undefined)("moto (SKIFF_MOTO names its moto_server)", () => {
  let moto: Moto;
  let folder: string;
  let said: Map<Placed, Opinion>;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "skiff-moto-"));
    moto = await startMoto(program!);
    const output = join(folder, "bundles");
    const sources = { source: "functions", agent: "agent/main.ts", gateway: "lib/hosts/gateway/main.ts" };
    const bundles = await bundle({ ...sources, output });
    const assembly = join(folder, "cdk.out");
    const app = new App({ outdir: assembly, analyticsReporting: false });
    cloud(app, { config: parseConfig(everything, "the test"), bundles, version: "0.0.0" });
    app.synth();
    said = await opinions(moto.endpoint, readTemplates(assembly));
  });
  afterAll(async () => {
    await moto?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test("accepts every resource of a type that it knows", () => {
    const types = new Map<string, number>();
    for (const [{ type }, { kind }] of said) types.set(`${kind}: ${type}`, (types.get(`${kind}: ${type}`) ?? 0) + 1);
    console.log(
      [...types]
        .map(([what, count]) => `${String(count).padStart(4)} ${what}`)
        .sort()
        .join("\n"),
    );
    const refused = [...said].flatMap(([{ type }, opinion]) =>
      opinion.kind === "refused" ? [`${type}: ${opinion.why}`] : [],
    );
    expect(refused.filter((why) => !motosOwn.includes(why))).toEqual([]);
    expect([...said.values()].filter(({ kind }) => kind === "made").length).toBeGreaterThan(100);
  });
});

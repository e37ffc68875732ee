import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { App } from "aws-cdk-lib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cloud, type Placed, parseConfig, readTemplates } from "#infra";
import { emptyBundles, most } from "../../infra/testing/index.ts";
import { type Moto, motoServer, type Opinion, opinions, startMoto } from "./moto.ts";

const program = motoServer();

/** What moto refuses and AWS takes. */
const motosOwn = [
  // The zone is the account's, and there is none here.
  "AWS::Route53::RecordSet: No hosted zone found with ID: Z1",
  // It takes every load balancer of a template for one of applications.
  "AWS::ElasticLoadBalancingV2::Listener: Listener protocol 'TCP' must be one of 'HTTP, HTTPS'",
];

describe.skipIf(program === undefined)("moto (SKIFF_MOTO names its moto_server)", () => {
  let moto: Moto;
  let folder: string;
  let said: Map<Placed, Opinion>;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "skiff-moto-"));
    moto = await startMoto(program!);
    const app = new App({ outdir: folder, analyticsReporting: false });
    cloud(app, { config: parseConfig(most, "the test"), bundles: await emptyBundles(), version: "0.0.0" });
    app.synth();
    said = await opinions(moto.endpoint, readTemplates(folder));
  });
  afterAll(async () => {
    await moto?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test("takes every resource of a type that it knows", () => {
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

import { expect, test } from "vitest";
import { dataPolicy } from "#cli/destroy";
import { resources } from "./testing/found.ts";
import { emptyBundles, least, most, synthesize } from "./testing/index.ts";

/* What `skiff destroy` relies on: the storage stack's template has the policy for data, and no other stack has data. */

test("data is kept or deleted as a whole, and deletion leaves nothing behind", async () => {
  const bundles = await emptyBundles();
  for (const [data, config] of [
    ["keep", least],
    ["delete", { ...least, data: "delete" }],
    ["delete", { ...most, data: "delete" }],
  ] as const) {
    const made = await synthesize(config, bundles);
    expect(dataPolicy(made.templates[`skiff-${config.cluster}-storage`] as never)).toBe(data);
    // By a property, too, so that a changed policy is a change of each.
    for (const one of resources(made, "AWS::S3::Bucket", "AWS::SecretsManager::Secret"))
      expect(one.Properties["Tags"], one.id).toContainEqual({ Key: "skiff:data", Value: data });
    if (data === "keep") continue;
    const held = resources(made).filter(
      (one) => one.DeletionPolicy === "Retain" || one.Properties["DeletionProtectionEnabled"] === true,
    );
    // The account has one such role, which other APIs may use.
    expect(held.map(({ Type }) => Type).sort()).toEqual(["AWS::ApiGateway::Account", "AWS::IAM::Role"]);
  }
}, 60_000);

test("a policy that was changed halfway is seen", () => {
  const table = (held: boolean) => ({ Type: "AWS::DynamoDB::Table", DeletionPolicy: held ? "Retain" : "Delete" });
  expect(dataPolicy({ Resources: { a: table(true), b: table(false) } })).toBe("mixed");
  const held = {
    Type: "AWS::DynamoDB::Table",
    DeletionPolicy: "Delete",
    Properties: { DeletionProtectionEnabled: true },
  };
  expect(dataPolicy({ Resources: { a: held } })).toBe("keep");
});

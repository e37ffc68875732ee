import { expect, test } from "vitest";
import { hostOf, partitionOf, partitions, stsHosts } from "./index.ts";

// Right values: the endpoint rules that AWS's SDK for JavaScript carries (@aws-sdk/core 3.1164.0, partitions.js).
test.each([
  ["eu-west-1", "aws", "sts.eu-west-1.amazonaws.com"],
  ["us-gov-west-1", "aws-us-gov", "sts.us-gov-west-1.amazonaws.com"],
  ["cn-north-1", "aws-cn", "sts.cn-north-1.amazonaws.com.cn"],
  ["eusc-de-east-1", "aws-eusc", "sts.eusc-de-east-1.amazonaws.eu"],
  ["us-iso-east-1", "aws-iso", "sts.us-iso-east-1.c2s.ic.gov"],
  ["us-isob-east-1", "aws-iso-b", "sts.us-isob-east-1.sc2s.sgov.gov"],
  ["eu-isoe-west-1", "aws-iso-e", "sts.eu-isoe-west-1.cloud.adc-e.uk"],
  ["us-isof-south-1", "aws-iso-f", "sts.us-isof-south-1.csp.hci.ic.gov"],
  // A region that opened later than this table.
  ["ap-southeast-9", "aws", "sts.ap-southeast-9.amazonaws.com"],
  ["eu-isoe-north-1", "aws-iso-e", "sts.eu-isoe-north-1.cloud.adc-e.uk"],
])("%s is in %s", (region, partition, host) => {
  expect([partitionOf(region).name, hostOf("sts", region)]).toEqual([partition, host]);
});

test("every region of the table matches the pattern of its partition only", () => {
  for (const { name, regions } of partitions) {
    for (const region of regions) {
      expect(partitions.filter(({ regionPattern }) => regionPattern.test(region)).map((each) => each.name)).toEqual([
        name,
      ]);
    }
  }
});

test("STS of a partition answers in its own regions alone", () => {
  expect([...stsHosts("aws-iso-f")]).toEqual([
    "sts.us-isof-east-1.csp.hci.ic.gov",
    "sts.us-isof-east-1.api.aws.hci.ic.gov",
    "sts.us-isof-south-1.csp.hci.ic.gov",
    "sts.us-isof-south-1.api.aws.hci.ic.gov",
  ]);
  expect(() => stsHosts("aws-moon")).toThrow("no AWS partition is called aws-moon");
});

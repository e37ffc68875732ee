import { type _InstanceType, DescribeInstanceTypesCommand, EC2Client } from "@aws-sdk/client-ec2";
import {
  GetAWSDefaultServiceQuotaCommand,
  GetServiceQuotaCommand,
  ServiceQuotasClient,
} from "@aws-sdk/client-service-quotas";
import { type Check, type ClientSettings, type Finding, failed, ok, unknown, warning } from "../check.ts";
import type { Group } from "../deployment.ts";

interface Quota {
  service: "ec2" | "fargate";
  code: string;
  what: string;
}

/** Families of instances that share a quota of vCPU, on demand and for Spot, by Service Quotas' codes. */
const families: { named: RegExp; what: string; onDemand: string; spot: string }[] = [
  { named: /^(?:a|c|d|h|i|im|is|m|r|t|z)\d/, what: "standard", onDemand: "L-1216C47A", spot: "L-34B43A08" },
  { named: /^(?:g|gr|vt)\d/, what: "G and VT", onDemand: "L-DB2E81BA", spot: "L-3819A6DF" },
  { named: /^p\d/, what: "P", onDemand: "L-417A185B", spot: "L-7212CCBC" },
  { named: /^x\d/, what: "X", onDemand: "L-7295265B", spot: "L-E3A00192" },
  { named: /^inf\d/, what: "Inf", onDemand: "L-1945791B", spot: "L-B5D1601B" },
  { named: /^trn\d/, what: "Trn", onDemand: "L-2C3B7624", spot: "L-6B0D517C" },
];

/** A quota's value: the account's, or AWS's default if it was never changed. */
async function limitOf(aws: ClientSettings, { service, code }: Quota): Promise<number> {
  const client = new ServiceQuotasClient(aws);
  const input = { ServiceCode: service, QuotaCode: code };
  const answer = await client.send(new GetServiceQuotaCommand(input)).catch((error: unknown) => {
    if (!(error instanceof Error) || error.name !== "NoSuchResourceException") throw error;
    return client.send(new GetAWSDefaultServiceQuotaCommand(input));
  });
  return answer.Quota?.Value ?? 0;
}

const more = ({ service, code, what }: Quota): string => `ask Service Quotas for more ${what} (${service}, ${code})`;

export const instances: Check = {
  name: "EC2 vCPU",
  asks: ["ec2:DescribeInstanceTypes", "servicequotas:GetServiceQuota", "servicequotas:GetAWSDefaultServiceQuota"],
  async run({ deployment: { groups }, aws }) {
    if (groups.length === 0) return [ok("there are no groups of nodes")];
    const sizes = await sizesOf(aws, groups);
    const needed = new Map<string, { quota: Quota; vcpu: number }>();
    const findings: Finding[] = [];
    for (const { name, types, maximum, spot } of groups) {
      const missing = types.filter((type) => !sizes.has(type));
      if (missing.length > 0) {
        findings.push(
          failed(`${name}: there is no ${missing.join(", ")} in this region`, "choose other instance types"),
        );
      }
      for (const { named, what, onDemand, spot: ofSpot } of families) {
        const largest = Math.max(0, ...types.filter((type) => named.test(type)).map((type) => sizes.get(type) ?? 0));
        if (largest === 0) continue;
        const code = spot ? ofSpot : onDemand;
        const quota: Quota = { service: "ec2", code, what: `${what} vCPU${spot ? " on Spot" : ""}` };
        needed.set(code, { quota, vcpu: (needed.get(code)?.vcpu ?? 0) + largest * maximum });
      }
      const strange = types.filter((type) => !families.some(({ named }) => named.test(type)));
      if (strange.length > 0) {
        findings.push(unknown(`${name}: which quota ${strange.join(", ")} counts against is not known here`));
      }
    }
    for (const { quota, vcpu } of needed.values()) {
      const value = await limitOf(aws, quota);
      const says = `${value} ${quota.what} in the account, ${vcpu} when all groups are at their maximum`;
      findings.push(value >= vcpu ? ok(says) : warning(says, `${more(quota)}, or lower the groups' maximum`));
    }
    return findings;
  },
};

/** vCPUs by instance type; types that the region does not offer are missing. */
async function sizesOf(aws: ClientSettings, groups: readonly Group[]): Promise<Map<string, number>> {
  const types = [...new Set(groups.flatMap((group) => group.types))];
  const { InstanceTypes = [] } = await new EC2Client(aws).send(
    // By a filter: an unknown type would make the whole request fail.
    new DescribeInstanceTypesCommand({ Filters: [{ Name: "instance-type", Values: types }] }),
  );
  return new Map(
    InstanceTypes.map(({ InstanceType, VCpuInfo }): [string, number] => [
      String(InstanceType as _InstanceType),
      VCpuInfo?.DefaultVCpus ?? 0,
    ]),
  );
}

const onFargate: Quota = { service: "fargate", code: "L-3032A538", what: "vCPU on Fargate" };

export const tasks: Check = {
  name: "Fargate vCPU",
  asks: ["servicequotas:GetServiceQuota", "servicequotas:GetAWSDefaultServiceQuota"],
  async run({ deployment: { fargate }, aws }) {
    if (fargate.services === 0 && !fargate.pods) return [ok("nothing runs on Fargate")];
    const value = await limitOf(aws, onFargate);
    const what = [
      ...(fargate.services > 0 ? [`${fargate.services} for services`] : []),
      ...(fargate.pods ? ["the rest for pods"] : []),
    ].join(", ");
    const says = `${value} in the account: ${what}`;
    if (value < fargate.services) return [failed(says, more(onFargate))];
    if (fargate.pods && value - fargate.services < 1) return [warning(says, more(onFargate))];
    return [ok(says)];
  },
};

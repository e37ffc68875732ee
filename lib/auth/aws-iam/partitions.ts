/** AWS's partitions as far as their STS endpoints go. A region that is not here is not trusted: add it. */
export interface Partition {
  name: string;
  suffix: string;
  /** For IPv6 and IPv4 alike. */
  dualStackSuffix: string;
  regions: readonly string[];
  /** Regions with a FIPS endpoint of their own. */
  fips: readonly string[];
  /** The endpoint that belongs to no region. */
  global?: string;
}

export const partitions: readonly Partition[] = [
  {
    name: "aws",
    suffix: "amazonaws.com",
    dualStackSuffix: "api.aws",
    regions: [
      "af-south-1",
      "ap-east-1",
      "ap-east-2",
      "ap-northeast-1",
      "ap-northeast-2",
      "ap-northeast-3",
      "ap-south-1",
      "ap-south-2",
      "ap-southeast-1",
      "ap-southeast-2",
      "ap-southeast-3",
      "ap-southeast-4",
      "ap-southeast-5",
      "ap-southeast-6",
      "ap-southeast-7",
      "ca-central-1",
      "ca-west-1",
      "eu-central-1",
      "eu-central-2",
      "eu-north-1",
      "eu-south-1",
      "eu-south-2",
      "eu-west-1",
      "eu-west-2",
      "eu-west-3",
      "il-central-1",
      "me-central-1",
      "me-south-1",
      "mx-central-1",
      "sa-east-1",
      "us-east-1",
      "us-east-2",
      "us-west-1",
      "us-west-2",
    ],
    fips: ["ca-central-1", "ca-west-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2"],
    global: "sts.amazonaws.com",
  },
  {
    name: "aws-us-gov",
    suffix: "amazonaws.com",
    dualStackSuffix: "api.aws",
    regions: ["us-gov-east-1", "us-gov-west-1"],
    fips: ["us-gov-east-1", "us-gov-west-1"],
  },
  {
    name: "aws-cn",
    suffix: "amazonaws.com.cn",
    dualStackSuffix: "api.amazonwebservices.com.cn",
    regions: ["cn-north-1", "cn-northwest-1"],
    fips: [],
  },
  {
    name: "aws-eusc",
    suffix: "amazonaws.eu",
    dualStackSuffix: "api.amazonwebservices.eu",
    regions: ["eusc-de-east-1"],
    fips: [],
  },
];

/** Every host at which STS of a partition answers. Throws for a partition that is not known. */
export function stsHosts(name: string): ReadonlySet<string> {
  const partition = partitions.find((each) => each.name === name);
  if (!partition) throw new Error(`no AWS partition is called ${name}`);
  const { suffix, dualStackSuffix, regions, fips, global } = partition;
  return new Set([
    ...(global === undefined ? [] : [global]),
    ...regions.flatMap((region) => [`sts.${region}.${suffix}`, `sts.${region}.${dualStackSuffix}`]),
    ...fips.flatMap((region) => [`sts-fips.${region}.${suffix}`, `sts-fips.${region}.${dualStackSuffix}`]),
  ]);
}

/** One of AWS's partitions: regions that share accounts, names and domains. */
export interface Partition {
  name: string;
  /** The pattern of region names, future regions included (the SDK's partitions.js). */
  regionPattern: RegExp;
  /** The domain of its services' endpoints. */
  suffix: string;
  /** For IPv6 and IPv4 alike. */
  dualStackSuffix: string;
  /** The domain of private registries with IPv6 endpoints; not every partition has one. */
  registrySuffix?: string;
  /** The regions that its STS is trusted in: one that is not here is not, until it is added. */
  regions: readonly string[];
  /** Regions with a FIPS endpoint of their own. */
  fips: readonly string[];
  /** The endpoint that belongs to no region. */
  global?: string;
}

export const partitions: readonly Partition[] = [
  {
    name: "aws",
    regionPattern: /^(?:us|eu|ap|sa|ca|me|af|il|mx)-\w+-\d+$/,
    suffix: "amazonaws.com",
    dualStackSuffix: "api.aws",
    registrySuffix: "on.aws",
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
    regionPattern: /^us-gov-\w+-\d+$/,
    suffix: "amazonaws.com",
    dualStackSuffix: "api.aws",
    registrySuffix: "on.aws",
    regions: ["us-gov-east-1", "us-gov-west-1"],
    fips: ["us-gov-east-1", "us-gov-west-1"],
  },
  {
    name: "aws-cn",
    regionPattern: /^cn-\w+-\d+$/,
    suffix: "amazonaws.com.cn",
    dualStackSuffix: "api.amazonwebservices.com.cn",
    registrySuffix: "on.amazonwebservices.com.cn",
    regions: ["cn-north-1", "cn-northwest-1"],
    fips: [],
  },
  {
    name: "aws-eusc",
    regionPattern: /^eusc-de-\w+-\d+$/,
    suffix: "amazonaws.eu",
    dualStackSuffix: "api.amazonwebservices.eu",
    regions: ["eusc-de-east-1"],
    fips: [],
  },
  {
    name: "aws-iso",
    regionPattern: /^us-iso-\w+-\d+$/,
    suffix: "c2s.ic.gov",
    dualStackSuffix: "api.aws.ic.gov",
    regions: ["us-iso-east-1", "us-iso-west-1"],
    fips: [],
  },
  {
    name: "aws-iso-b",
    regionPattern: /^us-isob-\w+-\d+$/,
    suffix: "sc2s.sgov.gov",
    dualStackSuffix: "api.aws.scloud",
    regions: ["us-isob-east-1", "us-isob-west-1"],
    fips: [],
  },
  {
    name: "aws-iso-e",
    regionPattern: /^eu-isoe-\w+-\d+$/,
    suffix: "cloud.adc-e.uk",
    dualStackSuffix: "api.cloud-aws.adc-e.uk",
    regions: ["eu-isoe-west-1"],
    fips: [],
  },
  {
    name: "aws-iso-f",
    regionPattern: /^us-isof-\w+-\d+$/,
    suffix: "csp.hci.ic.gov",
    dualStackSuffix: "api.aws.hci.ic.gov",
    regions: ["us-isof-east-1", "us-isof-south-1"],
    fips: [],
  },
];

/** The partition of a region; `aws` for a region of unknown form, as in the SDK. */
export const partitionOf = (region: string): Partition =>
  partitions.find(({ regionPattern }) => regionPattern.test(region)) ?? partitions[0]!;

/** The host of a service in a region, such as `ec2.eu-west-1.amazonaws.com`. */
export const hostOf = (service: string, region: string): string => `${service}.${region}.${partitionOf(region).suffix}`;

/** Every host of STS in a partition. Throws for an unknown partition. */
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

/**
 * The cloud port over AWS: network load balancers in front of instances, and routes of a VPC to pods. The cluster's
 * resources are recognised by their tags. No call waits: it reports a state, and the caller repeats it.
 */
export { awsCloud, openAwsCloud } from "./cloud.ts";
export { type Ec2, ec2Query } from "./ec2.ts";
export type { AwsCloudOptions } from "./options.ts";

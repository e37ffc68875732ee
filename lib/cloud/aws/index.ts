/**
 * The cloud port over AWS: network load balancers in front of instances, and routes of a VPC to pods. What belongs to
 * the cluster is known by its tags. It waits for nothing: what takes time is told, and asked for again.
 */
export { awsCloud, openAwsCloud } from "./cloud.ts";
export { type Ec2, ec2Query } from "./ec2.ts";
export type { AwsCloudOptions } from "./options.ts";

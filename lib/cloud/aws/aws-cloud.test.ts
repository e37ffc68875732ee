import { cloudConformance } from "#cloud/conformance";
import { AwsWorld, awsNetwork, startFront } from "./testing/index.ts";

const place = {
  cluster: "test",
  vpc: "vpc-1",
  subnets: ["subnet-a", "subnet-b"],
  securityGroup: "sg-balancers",
  routeTables: ["rtb-1", "rtb-2"],
  podCidr: "10.244.0.0/16",
} as const;

const open = (attempts?: number) => async () => {
  const network = awsNetwork(place);
  const front = await startFront({ handle: (body) => network.handle(body) });
  return new AwsWorld({
    ...place,
    front,
    attempts,
    addInstance: async () => network.addInstance(),
    removeInstance: async (node) => network.removeInstance(node),
    settle: async () => network.settle(),
  });
};

cloudConformance("AWS (stand-in)", { open: open(), podCidr: place.podCidr });

import { cloudConformance } from "#cloud/conformance";
import { awsNetwork, awsWorld, startFront } from "./testing/index.ts";

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
  return awsWorld({
    ...place,
    front,
    ...(attempts === undefined ? {} : { attempts }),
    addInstance: async () => network.addInstance(),
    removeInstance: async (node) => network.removeInstance(node),
    settle: async () => network.settle(),
  });
};

cloudConformance("AWS, as the stand-in plays it,", { open: open(), podCidr: place.podCidr });

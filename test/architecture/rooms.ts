/**
 * What a room may import: other rooms through their doors, and packages. A name that ends in `*` matches all names with
 * this prefix.
 */
export interface Room {
  sees: readonly string[];
  uses?: readonly string[];
}

const drivers = ["lib/base", "lib/store"];
const agentParts = ["lib/base", "lib/api"];

/**
 * Which room may import which. A room sees itself, the rooms in `sees` and the packages in `uses`, and nothing else;
 * the longest name that matches a file is its room. In short: controllers see neither the API server nor a store; the
 * store sees no kind; lib sees neither functions nor infra, and only the host that starts an agent sees the agent; only
 * hosts name a store's driver.
 */
export const rooms: Readonly<Record<string, Room>> = {
  "lib/base": { sees: [] },
  "lib/x509": { sees: [], uses: ["node:crypto"] },
  "lib/api": { sees: ["lib/base", "lib/x509"], uses: ["zod"] },
  "lib/wire": { sees: ["lib/base", "lib/api"], uses: ["protobufjs/minimal.js", "yaml"] },
  "lib/patch": { sees: ["lib/base", "lib/api"] },
  "lib/aws": { sees: [], uses: ["@smithy/signature-v4", "node:crypto"] },
  "lib/aws/http": { sees: [] },
  "lib/aws/request-signer": { sees: ["lib/aws"], uses: ["@aws-sdk/credential-providers"] },
  "lib/store": { sees: ["lib/base"] },
  "lib/store/conformance": { sees: drivers, uses: ["vitest"] },
  "lib/store/model": {
    sees: [...drivers, "lib/store/memory", "lib/store/sqlite", "lib/store/dynamo"],
    uses: ["fast-check", "@aws-sdk/client-dynamodb", "vitest", "node:*"],
  },
  "lib/store/memory": { sees: drivers },
  "lib/store/sqlite": { sees: drivers, uses: ["node:sqlite", "node:fs"] },
  "lib/store/dynamo": { sees: drivers, uses: ["@aws-sdk/client-dynamodb", "node:zlib"] },
  "lib/metrics": { sees: ["lib/base", "lib/store"] },
  "lib/metrics/process": { sees: ["lib/metrics"], uses: ["node:fs", "node:perf_hooks"] },
  "lib/client": { sees: ["lib/base", "lib/api", "lib/patch", "lib/wire"], uses: ["node:http", "node:https"] },
  "lib/events": { sees: ["lib/base", "lib/api", "lib/client"] },
  "lib/bootstrap-tokens": { sees: ["lib/base", "lib/api"], uses: ["node:crypto"] },
  "lib/auth": { sees: ["lib/base", "lib/api", "lib/bootstrap-tokens", "lib/client"] },
  "lib/auth/aws-iam": {
    sees: ["lib/base", "lib/api", "lib/client", "lib/auth", "lib/aws"],
    uses: ["node:crypto", "node:http", "node:https"],
  },
  "lib/auth/service-account": {
    sees: ["lib/base", "lib/api", "lib/client", "lib/auth"],
    uses: ["jose", "node:crypto"],
  },
  "lib/auth/certificates": {
    sees: ["lib/base", "lib/x509"],
    uses: ["@peculiar/x509", "reflect-metadata", "node:crypto"],
  },
  "lib/admission": { sees: ["lib/base", "lib/x509", "lib/api", "lib/client", "lib/patch"] },
  "lib/resources": {
    sees: ["lib/base", "lib/api", "lib/wire", "lib/patch", "lib/client", "lib/metrics", "lib/store", "lib/admission"],
  },
  // HTTP over the resource service; of the store only entries, of the client only its port.
  "lib/apiserver": {
    sees: [
      "lib/base",
      "lib/api",
      "lib/wire",
      "lib/patch",
      "lib/client",
      "lib/metrics",
      "lib/store",
      "lib/auth",
      "lib/resources",
    ],
  },
  "lib/reconcile": { sees: ["lib/base", "lib/api", "lib/client", "lib/metrics"] },
  "lib/reconcile/sqs": {
    sees: ["lib/base", "lib/reconcile", "lib/store"],
    uses: ["@aws-sdk/client-sqs", "@aws-sdk/client-sfn", "@aws-sdk/client-dynamodb", "node:crypto"],
  },
  "lib/cloud": { sees: [] },
  "lib/cloud/conformance": { sees: ["lib/cloud", "lib/reconcile"], uses: ["vitest"] },
  "lib/cloud/fake": { sees: ["lib/cloud", "lib/reconcile"] },
  "lib/cloud/aws": {
    sees: ["lib/aws", "lib/base", "lib/cloud", "lib/reconcile"],
    uses: ["@aws-sdk/client-elastic-load-balancing-v2", "node:crypto"],
  },
  "lib/controllers": {
    sees: [
      "lib/base",
      "lib/x509",
      "lib/api",
      "lib/bootstrap-tokens",
      "lib/client",
      "lib/cloud",
      "lib/controllers/workload",
      "lib/reconcile",
    ],
  },
  "lib/controllers/workload": { sees: ["lib/base", "lib/api", "lib/client", "lib/reconcile"] },
  "lib/scheduler": { sees: ["lib/base", "lib/api", "lib/client", "lib/metrics", "lib/reconcile"] },
  "lib/controlplane": {
    sees: [
      "lib/base",
      "lib/api",
      "lib/bootstrap-tokens",
      "lib/client",
      "lib/events",
      "lib/metrics",
      "lib/store",
      "lib/auth",
      "lib/admission",
      "lib/resources",
      "lib/apiserver",
      "lib/reconcile",
      "lib/controllers",
      "lib/scheduler",
    ],
  },
  "lib/fargate": { sees: ["lib/base", "lib/api", "lib/reconcile", "lib/store"] },
  "lib/fargate/kubelet": {
    sees: ["lib/base", "lib/api", "lib/client", "lib/fargate", "lib/kubelet", "lib/reconcile", "lib/reconcile/sqs"],
    uses: ["@aws-sdk/client-ecs", "node:crypto", "zod"],
  },
  "lib/cloud/pod-logs": {
    sees: ["lib/base", "lib/api", "lib/apiserver", "lib/client", "lib/fargate", "lib/kubelet", "lib/node-link"],
    uses: ["@aws-sdk/client-cloudwatch-logs"],
  },
  "lib/kubelet": { sees: ["lib/base", "lib/api"] },
  "lib/node-link": { sees: ["lib/base", "lib/api"] },
  "lib/cost": { sees: [] },
  "lib/relay": { sees: ["lib/base"], uses: ["node:stream"] },
  "lib/hosts/aws/environment": { sees: [], uses: ["zod"] },
  "lib/hosts/aws/authority": { sees: ["lib/base", "lib/api", "lib/client"], uses: ["node:tls"] },
  // What holds the authority's key.
  "lib/hosts/aws/authority/issuing": {
    sees: ["lib/base", "lib/api", "lib/x509", "lib/client", "lib/auth/certificates", "lib/hosts/aws/authority"],
  },
  "lib/hosts/aws/announcer": {
    sees: ["lib/api", "lib/base", "lib/controlplane", "lib/fargate", "lib/reconcile/sqs", "lib/store"],
  },
  "lib/hosts/aws/api-server": {
    sees: [
      "lib/hosts/aws/environment",
      "lib/api",
      "lib/apiserver",
      "lib/auth/aws-iam",
      "lib/auth/service-account",
      "lib/base",
      "lib/cloud/pod-logs",
      "lib/controlplane",
    ],
  },
  "lib/hosts/aws": {
    sees: [
      "lib/hosts/aws/announcer",
      "lib/hosts/aws/authority",
      "lib/hosts/aws/environment",
      "lib/base",
      "lib/api",
      "lib/apiserver",
      "lib/auth/service-account",
      "lib/cloud",
      "lib/controlplane",
      "lib/fargate",
      "lib/reconcile/sqs",
      "lib/store",
      "lib/store/dynamo",
    ],
    uses: [
      "@aws-lambda-powertools/logger",
      "@aws-sdk/client-apigatewaymanagementapi",
      "@aws-sdk/client-dynamodb",
      "@aws-sdk/client-s3",
      "@aws-sdk/client-secrets-manager",
      "@aws-sdk/client-sqs",
      "@middy/core",
      "@middy/core/StreamifyResponse",
      "aws-lambda",
      "node:*",
      "zod",
    ],
  },
  // What a function's bundle may contain.
  "functions/api": {
    sees: [
      "lib/hosts/aws",
      "lib/hosts/aws/api-server",
      "lib/hosts/aws/environment",
      "lib/api",
      "lib/apiserver",
      "lib/auth/aws-iam",
      "lib/auth/service-account",
      "lib/base",
      "lib/cloud/pod-logs",
      "lib/controlplane",
      "lib/fargate",
      "lib/node-link",
    ],
    uses: ["node:*", "zod"],
  },
  "functions/bootstrap": {
    sees: [
      "lib/hosts/aws",
      "lib/hosts/aws/authority/issuing",
      "lib/hosts/aws/environment",
      "lib/auth/service-account",
      "lib/base",
      "lib/fargate/kubelet",
    ],
    uses: ["@aws-sdk/client-s3", "zod"],
  },
  "functions/fargate": {
    sees: ["lib/hosts/aws", "lib/hosts/aws/environment", "lib/fargate/kubelet", "lib/reconcile/sqs"],
    uses: ["@aws-sdk/client-ecs", "@aws-sdk/client-sfn", "aws-lambda", "zod"],
  },
  "functions/link": {
    sees: [
      "lib/hosts/aws",
      "lib/hosts/aws/environment",
      "lib/api",
      "lib/auth/aws-iam",
      "lib/base",
      "lib/client",
      "lib/relay",
    ],
    uses: ["zod"],
  },
  "functions/reconcile": {
    sees: [
      "lib/hosts/aws",
      "lib/hosts/aws/authority",
      "lib/hosts/aws/authority/issuing",
      "lib/hosts/aws/environment",
      "lib/cloud",
      "lib/cloud/aws",
      "lib/controlplane",
      "lib/reconcile/sqs",
    ],
    uses: ["@aws-sdk/client-sfn"],
  },
  "functions/schedule": { sees: ["lib/hosts/aws", "lib/hosts/aws/environment", "lib/base", "lib/reconcile/sqs"] },
  "functions/stream": {
    sees: ["lib/hosts/aws", "lib/hosts/aws/environment", "lib/store/dynamo"],
    uses: ["@aws-sdk/client-dynamodb", "zod"],
  },
  "functions/tick": {
    sees: [
      "lib/hosts/aws",
      "lib/hosts/aws/environment",
      "lib/api",
      "lib/auth/service-account",
      "lib/base",
      "lib/controlplane",
      "lib/fargate",
      "lib/reconcile/sqs",
    ],
    uses: ["@aws-sdk/client-s3", "zod"],
  },
  "lib/joining": {
    sees: ["lib/base", "lib/api", "lib/auth/certificates", "lib/bootstrap-tokens", "lib/client"],
    uses: ["node:crypto", "node:https"],
  },
  "lib/hosts/https": { sees: ["lib/base", "lib/api", "lib/apiserver", "lib/node-link"], uses: ["node:*", "ws"] },
  "lib/hosts/embedded": {
    sees: [
      "lib/base",
      "lib/api",
      "lib/x509",
      "lib/client",
      "lib/apiserver",
      "lib/controlplane",
      "lib/store/sqlite",
      "lib/auth/certificates",
      "lib/auth/service-account",
      "lib/bootstrap-tokens",
      "lib/joining",
      "lib/metrics",
      "lib/metrics/process",
      "lib/hosts/https",
      "agent/eviction",
      "agent/network",
      "agent/node",
      "agent/overlay",
      "agent/runtime/containerd",
      "agent/runtime/docker",
      "agent/shutdown",
      "agent/volumes",
    ],
    uses: ["node:*"],
  },
  "lib/hosts/gateway": {
    sees: [
      "lib/hosts/aws/announcer",
      "lib/hosts/aws/api-server",
      "lib/hosts/aws/authority",
      "lib/hosts/aws/authority/issuing",
      "lib/hosts/aws/environment",
      "lib/base",
      "lib/api",
      "lib/client",
      "lib/apiserver",
      "lib/auth/aws-iam",
      "lib/auth/service-account",
      "lib/fargate",
      "lib/cloud/pod-logs",
      "lib/controlplane",
      "lib/node-link",
      "lib/reconcile/sqs",
      "lib/metrics",
      "lib/store",
      "lib/store/dynamo",
      "lib/metrics/process",
      "lib/hosts/https",
    ],
    uses: [
      "@aws-sdk/client-cloudwatch-logs",
      "@aws-sdk/client-secrets-manager",
      "@aws-sdk/client-sqs",
      "node:*",
      "zod",
    ],
  },
  "lib/cli/cost": { sees: ["lib/cost"], uses: ["node:fs", "node:path"] },
  "lib/cli/destroy": {
    sees: ["lib/base"],
    uses: [
      "node:child_process",
      "node:fs",
      "node:os",
      "node:path",
      "@aws-sdk/client-cloudformation",
      "@aws-sdk/client-dynamodb",
      "@aws-sdk/client-ecs",
      "@aws-sdk/client-elastic-load-balancing-v2",
      "@aws-sdk/client-s3",
    ],
  },
  "lib/cli/doctor": {
    sees: ["lib/aws", "lib/base"],
    uses: [
      "node:fs",
      "node:path",
      "@aws-sdk/credential-providers",
      "@aws-sdk/client-api-gateway",
      "@aws-sdk/client-cloudformation",
      "@aws-sdk/client-cloudwatch-logs",
      "@aws-sdk/client-ec2",
      "@aws-sdk/client-ecs",
      "@aws-sdk/client-iam",
      "@aws-sdk/client-lambda",
      "@aws-sdk/client-service-quotas",
      "@aws-sdk/client-sts",
    ],
  },
  "lib/cli/restore": { sees: ["lib/base", "lib/store/dynamo"], uses: ["@aws-sdk/client-dynamodb"] },
  "lib/cli/token": {
    sees: ["lib/base", "lib/api", "lib/bootstrap-tokens", "lib/client"],
    uses: ["node:fs", "node:path"],
  },
  "lib/cli/proxy": {
    sees: ["lib/base", "lib/client", "lib/relay", "lib/auth/certificates", "lib/aws/http", "lib/aws/request-signer"],
    uses: ["node:*", "ws", "zod"],
  },
  // It starts the agent, and compiles what both processes load when it is installed.
  "lib/cli": {
    sees: [
      "agent",
      "agent/network",
      "agent/overlay",
      "agent/runtime/containerd",
      "agent/runtime/docker",
      "agent/runtime/fake",
      "lib/base",
      "lib/api",
      "lib/cli/cost",
      "lib/cli/destroy",
      "lib/cli/doctor",
      "lib/cli/proxy",
      "lib/cli/restore",
      "lib/cli/token",
      "lib/hosts/embedded",
    ],
    uses: ["commander", "picocolors", "node:*"],
  },
  "agent/api-relay": {
    sees: [...agentParts, "lib/aws/http", "lib/client", "lib/joining", "agent/network"],
    uses: ["node:*"],
  },
  "agent/overlay": { sees: [...agentParts, "agent/network"], uses: ["node:*"] },
  "agent/dns": { sees: agentParts, uses: ["node:*"] },
  "agent/metrics": { sees: ["lib/base", "lib/metrics", "lib/metrics/process", "agent/runtime"], uses: ["node:*"] },
  "agent/runtime": { sees: ["lib/base"], uses: ["node:*"] },
  "agent/runtime/logs": { sees: ["lib/base"], uses: ["node:*"] },
  "agent/runtime/oci": { sees: ["lib/base"], uses: ["node:*"] },
  "agent/runtime/fake": {
    sees: ["lib/base", "agent/runtime", "agent/runtime/logs", "agent/runtime/oci"],
    uses: ["node:*"],
  },
  "agent/runtime/cni": { sees: ["lib/base", "agent/runtime"], uses: ["node:*"] },
  // Pods have the same bridge and the same sandbox's program as with a containerd of our own.
  "agent/runtime/docker": {
    sees: [
      "lib/base",
      "agent/runtime",
      "agent/runtime/cni",
      "agent/runtime/containerd",
      "agent/runtime/logs",
      "agent/runtime/oci",
    ],
    uses: ["node:*"],
  },
  "agent/runtime/containerd": {
    sees: ["lib/base", "agent/grpc", "agent/runtime", "agent/runtime/logs", "agent/runtime/oci"],
    uses: ["node:*", "@grpc/grpc-js"],
  },
  "agent/grpc": { sees: [], uses: ["@grpc/grpc-js", "protobufjs"] },
  "agent/volumes": { sees: [...agentParts, "agent/runtime"], uses: ["node:*"] },
  "agent/csi": {
    sees: [...agentParts, "lib/client", "agent/grpc", "agent/runtime", "agent/volumes"],
    uses: ["node:*"],
  },
  "agent/probes": {
    sees: [...agentParts, "agent/grpc", "agent/runtime"],
    uses: ["node:*", "@grpc/grpc-js", "protobufjs/minimal.js"],
  },
  "agent/pods": {
    sees: [...agentParts, "lib/client", "lib/kubelet", "agent/dns", "agent/runtime", "agent/probes", "agent/volumes"],
    uses: ["node:*"],
  },
  "agent/manifests": { sees: [...agentParts, "lib/client", "lib/wire"], uses: ["node:*"] },
  // Reads objects that it is given: it has no client.
  "agent/network": { sees: [...agentParts], uses: ["node:*"] },
  "agent/stats": { sees: [...agentParts, "lib/metrics", "agent/runtime"], uses: ["node:*"] },
  "agent/eviction": { sees: [...agentParts, "lib/kubelet", "agent/stats"] },
  "agent/shutdown": { sees: agentParts, uses: ["node:*"] },
  "agent/node": { sees: [...agentParts, "lib/client", "agent/overlay", "agent/runtime"], uses: ["node:*"] },
  "agent/link": {
    sees: [
      ...agentParts,
      "lib/kubelet",
      "lib/node-link",
      "agent/runtime",
      "agent/runtime/logs",
      "agent/pods",
      "agent/stats",
    ],
    uses: ["node:*", "ws"],
  },
  "agent/aws": {
    sees: [...agentParts, "lib/aws", "lib/aws/request-signer", "lib/client", "lib/relay", "agent/runtime"],
    uses: ["node:*", "ws", "@aws-sdk/client-cloudwatch-logs", "@aws-sdk/credential-providers"],
  },
  agent: {
    sees: [
      "agent/api-relay",
      "agent/aws",
      "agent/csi",
      "agent/dns",
      "agent/eviction",
      "agent/link",
      "agent/manifests",
      "agent/metrics",
      "agent/network",
      "agent/node",
      "agent/overlay",
      "agent/pods",
      "agent/runtime",
      "agent/runtime/containerd",
      "agent/runtime/docker",
      "agent/runtime/fake",
      "agent/shutdown",
      "agent/stats",
      "lib/base",
      "lib/api",
      "lib/client",
      "lib/events",
      "lib/kubelet",
    ],
    uses: ["node:*", "zod"],
  },
  infra: {
    sees: ["lib/base", "lib/store/dynamo", "lib/hosts/aws/environment"],
    uses: ["node:*", "aws-cdk-lib*", "constructs", "cdk-nag", "esbuild", "zod", "asl-validator"],
  },
  "test/make": { sees: ["lib/base", "lib/api"] },
  "test/services": { sees: ["lib/api"], uses: ["node:*"] },
  "test/join": {
    sees: [
      "lib/base",
      "lib/api",
      "lib/auth/certificates",
      "lib/auth/service-account",
      "lib/bootstrap-tokens",
      "lib/cli/token",
      "lib/client",
      "lib/controlplane",
      "lib/hosts/https",
      "lib/joining",
      "lib/store/memory",
    ],
    uses: ["vitest", "node:*"],
  },
  "test/cluster": {
    sees: [
      "test/make",
      "lib/base",
      "lib/api",
      "lib/auth/service-account",
      "lib/client",
      "lib/cloud",
      "lib/apiserver",
      "lib/controlplane",
      "lib/store",
      "lib/store/memory",
    ],
    uses: ["vitest"],
  },
  "test/csi-driver": { sees: ["agent/csi", "agent/grpc", "agent/runtime"], uses: ["node:*", "@grpc/grpc-js"] },
  test: { sees: ["*"], uses: ["*"] },
};

/**
 * Tests are beside the code that they test. They may also import the builders, the fakes and the drivers without
 * dependencies.
 */
export const testsAlsoSee = [
  "test/*",
  "lib/store/*",
  "lib/cloud/*",
  "lib/cli/*",
  "lib/hosts/*",
  "lib/auth/*",
  "lib/aws",
  "agent/*",
  "lib/client",
  "lib/api",
  "lib/auth",
];
export const testsAlsoUse = [
  "vitest",
  "fast-check",
  "zod",
  "ws",
  "@aws-sdk/client-dynamodb",
  "@aws-crypto/sha256-js",
  "@smithy/signature-v4",
  "jose",
  "node:*",
];

/** A test, a port's contract, or what only they use: `conformance`, `model` and `testing` files and folders. */
export const isTest = (file: string): boolean =>
  /\.test\.ts$|(?:^|\/)(?:conformance|model|testing)(?:\.ts$|\/)/.test(file);

/** Rooms that may not name a kind: kinds differ by the properties of their definitions. */
export const withoutKinds = [
  "lib/store",
  "lib/wire",
  "lib/patch",
  "lib/resources",
  "lib/apiserver",
  "lib/client",
  "lib/reconcile",
];

/** Rooms that receive time and randomness as arguments. */
export const withoutClock = [
  "lib/api",
  "lib/wire",
  "lib/patch",
  "lib/store",
  "lib/auth",
  "lib/bootstrap-tokens",
  "lib/x509",
  "lib/admission",
  "lib/resources",
  "lib/apiserver",
  "lib/client",
  "lib/metrics",
  "lib/reconcile",
  "lib/controllers",
  "lib/scheduler",
  "lib/kubelet",
  "lib/relay",
];
/** What those rooms may not name; only hosts create certificates, which contain dates. */
export const clockNames = ["Date", "setTimeout", "setInterval", "setImmediate", "process", "console", "performance"];
export const clockFree: Readonly<Record<string, readonly string[]>> = {
  "lib/auth/certificates": ["Date"],
  "lib/metrics/process": ["Date", "process"],
  // Commits that are requested in one turn of the event loop share a transaction.
  "lib/store/sqlite": ["setImmediate"],
};

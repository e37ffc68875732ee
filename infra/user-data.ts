/** The input of an instance's first start. */
export interface NodeSetup {
  /** `s3://…` of the archive with `agent.mjs`. Default: the agent comes with its Node as an ECS task. */
  agent?: string;
  /** The agent's configuration, without the name, which the instance reads itself. */
  config: Record<string, unknown>;
  /** Commands before all others. */
  before?: string[];
}

const metadata = "http://169.254.169.254/latest";

/** The name of Node 24 in the distribution's packages, beside other versions. */
const node = "/usr/bin/node-24";

const unit = `[Unit]
Description=Skiff agent
After=network-online.target
Wants=network-online.target

[Service]
# Memory that malloc(3) has freed goes back to the host.
Environment=MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=131072
ExecStart=${node} --max-semi-space-size=4 /opt/skiff/agent.mjs --config /etc/skiff/agent.json
Restart=always
RestartSec=5
KillMode=process
LimitNOFILE=1048576
OOMScoreAdjust=-999

[Install]
WantedBy=multi-user.target
`;

/**
 * The script of an Amazon Linux 2023 instance. It installs the container runtime, Node 24 and the agent. The node has
 * the instance's id as its name, since its role proves that. Containers run on when the agent stops.
 */
export function nodeScript({ agent, config, before = [] }: NodeSetup): string[] {
  const written = JSON.stringify({ ...config, nodes: [{ name: "INSTANCE_ID" }] });
  const host = [
    "set -euo pipefail",
    ...before,
    `token=$(curl -fsS --retry 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' ${metadata}/api/token)`,
    `about() { curl -fsS --retry 5 -H "X-aws-ec2-metadata-token: $token" ${metadata}/meta-data/$1; }`,
    "id=$(about instance-id)",
    "zone=$(about placement/availability-zone)",
    "type=$(about instance-type)",
    "install -d -m 0700 /etc/skiff /var/lib/skiff",
    "umask 077",
    `sed "s|INSTANCE_ID|$id|; s|INSTANCE_ZONE|$zone|; s|INSTANCE_TYPE|$type|" > /etc/skiff/agent.json <<'SKIFF'`,
    written,
    "SKIFF",
    "umask 022",
    // The image updates itself at the same time, and then holds dnf's lock.
    'again() { for pause in 5 10 20 40; do "$@" && return; sleep $pause; done; "$@"; }',
    "again dnf install -y containerd runc iptables-nft iproute nftables conntrack-tools",
    // The plugins have had two names.
    "plugins() { dnf install -y cni-plugins || dnf install -y containernetworking-plugins; }",
    "again plugins",
    // The script runs at the first start only, and settings of a module apply once it is loaded.
    "echo br_netfilter > /etc/modules-load.d/skiff.conf",
    "modprobe br_netfilter",
    "printf 'net.ipv4.ip_forward = 1\\nnet.bridge.bridge-nf-call-iptables = 1\\n' > /etc/sysctl.d/90-skiff.conf",
    "sysctl -q --system",
    // Docker, if it enabled forwarding itself, blocks packets that are not its own. At the next start forwarding is
    // enabled already, and Docker leaves it alone.
    "iptables -P FORWARD ACCEPT",
    "install -d /opt/skiff",
  ];
  if (agent === undefined) return host;
  return [
    ...host,
    "again dnf install -y nodejs24 unzip",
    `aws s3 cp --only-show-errors '${agent}' /tmp/skiff-agent.zip`,
    "unzip -q -o /tmp/skiff-agent.zip -d /opt/skiff && rm /tmp/skiff-agent.zip",
    "cat > /etc/systemd/system/skiff-agent.service <<'SKIFF'",
    unit.trimEnd(),
    "SKIFF",
    "systemctl daemon-reload",
    "systemctl enable --now skiff-agent.service",
  ];
}

import { Command, InvalidArgumentError, Option } from "commander";
import { isNodePortAddress, proxyModes } from "#agent/network";
import { overlayModes } from "#agent/overlay";
import { isDnsSubdomain, parseCidr } from "#api/meta";
import type { CostOptions } from "#cli/cost";
import type { DestroyOptions } from "#cli/destroy";
import type { DoctorOptions } from "#cli/doctor";
import type { ProxyOptions } from "#cli/proxy";
import type { RestoreOptions } from "#cli/restore";
import type { CreateOptions, DeleteOptions, TokenCommand } from "#cli/token";
import type { DownOptions, JoinOptions, StatusOptions, UpOptions } from "#hosts/embedded";
import { parseDuration } from "./duration.ts";

/** The commands. Each resolves with the exit code. */
export interface Commands {
  up(options: UpOptions): Promise<number>;
  join(options: JoinOptions): Promise<number>;
  down(options: DownOptions): Promise<number>;
  status(options: StatusOptions): Promise<number>;
  kubeconfig(options: DownOptions): Promise<number>;
  createToken(options: CreateOptions): Promise<number>;
  listTokens(options: TokenCommand): Promise<number>;
  deleteTokens(options: DeleteOptions): Promise<number>;
  restore(options: RestoreOptions): Promise<number>;
  proxy(options: ProxyOptions): Promise<number>;
  cost(options: CostOptions): Promise<number>;
  doctor(options: DoctorOptions): Promise<number>;
  destroy(options: DestroyOptions): Promise<number>;
}

/** Milliseconds. */
const day = 24 * 3_600_000;
const runtimes = ["auto", "containerd", "docker", "fake"];

function portNumber(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError("a port is a number from 0 to 65535.");
  return port;
}

function fixedPort(text: string): number {
  const port = portNumber(text);
  if (port === 0) throw new InvalidArgumentError("a port is a number from 1 to 65535.");
  return port;
}

function count(text: string): number {
  const nodes = Number(text);
  if (!/^\d+$/.test(text) || nodes < 1 || nodes > 5000)
    throw new InvalidArgumentError("expected a number from 1 to 5000.");
  return nodes;
}

function amount(text: string): number {
  if (!/^\d+(\.\d+)?$/.test(text)) throw new InvalidArgumentError("expected a number that is not negative.");
  return Number(text);
}

function cidr(text: string): string {
  const block = parseCidr(text);
  if (block?.version !== 4) throw new InvalidArgumentError("expected an IPv4 block such as 10.244.0.0/16.");
  return text;
}

function name(text: string): string {
  if (!isDnsSubdomain(text) || text.length > 63) {
    throw new InvalidArgumentError("a node's name is lower-case letters, digits, dashes and dots, such as node-1.");
  }
  return text;
}

/** A folder's path. An empty one is refused: it would mean the working directory. */
function folder(text: string): string {
  if (text.trim() === "") throw new InvalidArgumentError("expected the path of a folder.");
  return text;
}

function duration(text: string): number {
  const milliseconds = parseDuration(text);
  if (milliseconds === undefined) throw new InvalidArgumentError("expected a duration such as 24h or 1h30m, or 0.");
  return milliseconds;
}

function nodePortAddresses(text: string): string[] {
  const words = text.split(",").map((word) => word.trim());
  if (words.every(isNodePortAddress)) return words;
  throw new InvalidArgumentError(
    "expected primary, localhost, all or blocks such as 192.0.2.0/24, with commas between.",
  );
}

function mirror(text: string, previous: string[] = []): string[] {
  if (!/^[^=\s]+=https?:\/\/\S+$/.test(text)) {
    throw new InvalidArgumentError("expected REGISTRY=URL, such as docker.io=http://127.0.0.1:5000.");
  }
  return [...previous, text];
}

function url(text: string): string {
  if (!/^https?:\/\//.test(text) || !URL.canParse(text))
    throw new InvalidArgumentError("expected a URL, such as http://127.0.0.1:8000/pods.yaml.");
  return text;
}

function server(text: string): string {
  if (!/^https:\/\//.test(text) || !URL.canParse(text))
    throw new InvalidArgumentError("expected a URL, such as https://10.0.0.1:6443.");
  return text;
}

function caHash(text: string): string {
  if (!/^sha256:[0-9a-f]{64}$/.test(text))
    throw new InvalidArgumentError("expected sha256: and 64 hexadecimal digits.");
  return text;
}

function header(text: string, previous: string[] = []): string[] {
  if (!/^[!#$%&'*+\-.^_`|~\w]+:\s*[\t\x20-\x7e]*$/.test(text))
    throw new InvalidArgumentError("expected NAME: VALUE, such as Authorization: Bearer x.");
  return [...previous, text];
}

interface DestroyFlags {
  keepData: boolean;
  deleteData: boolean;
  config?: string;
  yes: boolean;
}

/** An option that an environment variable can set: `--data-dir` is `SKIFF_DATA_DIR`. */
const option = (flags: string, description: string): Option => {
  const created = new Option(flags, description);
  return created.env(`SKIFF_${created.name().replace(/-/g, "_").toUpperCase()}`);
};

const dataDir = (home: string) =>
  option("--data-dir <folder>", "folder with all data of the cluster").argParser(folder).default(`${home}/.skiff`);
const output = () => new Option("--output <form>", "output format").choices(["text", "json"]).default("text");
const templates = () => new Option("--templates <folder>", "output of `npm run synth`").default("cdk.out");

/** What a command needs to register itself with the program. */
interface Registration {
  program: Command;
  commands: Commands;
  /** The folder that holds `.skiff`. */
  home: string;
  /** Waits for a command, whose exit code becomes that of the program. */
  exitWith(command: Promise<number>): Promise<void>;
}

/** Adds the options of a machine's own node. */
const withMachine = (command: Command): Command =>
  command
    .addOption(option("--runtime <name>", "container runtime").choices(runtimes).default("auto"))
    .addOption(option("--containerd-socket <path>", "use this containerd instead of a private one"))
    .addOption(
      option(
        "--docker-socket <path>",
        "the engine of --runtime docker (default: DOCKER_HOST, else /var/run/docker.sock)",
      ),
    )
    .addOption(
      option("--install-runtime", "install containerd, runc and the CNI plugins if they are missing").default(false),
    )
    .addOption(option("--node-name <name>", "name of the node (default: the machine's host name)").argParser(name))
    .addOption(
      option("--proxy-mode <name>", "how services reach their pods (default: nftables, else iptables)").choices([
        ...proxyModes,
      ]),
    )
    .addOption(
      option(
        "--nodeport-addresses <list>",
        "addresses that answer node ports (default: primary by nftables, else all)",
      ).argParser(nodePortAddresses),
    )
    .addOption(
      option("--overlay <when>", "use VXLAN to nodes on other machines: auto, if no network is common to both")
        .choices([...overlayModes])
        .default("auto"),
    )
    .addOption(
      option("--registry-mirror <registry=url>", "pull images of a registry from this URL (repeatable)")
        .argParser(mirror)
        .default([]),
    )
    .addOption(
      option("--resolv-conf <file>", "DNS servers for names outside of the cluster (default: /etc/resolv.conf)"),
    )
    .addOption(option("--eviction-hard <thresholds>", "evict pods below these, at once"))
    .addOption(option("--eviction-soft <thresholds>", "evict pods below these, after a grace period"))
    .addOption(option("--eviction-soft-grace-period <periods>", "grace periods of the soft thresholds"))
    .addOption(option("--system-reserved <amounts>", "keep this from pods for the system, as cpu=500m,memory=1Gi"))
    .addOption(option("--kube-reserved <amounts>", "keep this from pods for the node's own programs"))
    .addOption(option("--shutdown-grace-period <duration>", "delay a shutdown of the machine until pods have ended"))
    .addOption(option("--shutdown-grace-period-critical-pods <duration>", "the part of it for critical pods"))
    .addOption(
      option("--shutdown-grace-period-by-pod-priority <periods>", "instead, periods by priority, as 0=10s,100000=1m"),
    )
    .addOption(
      option("--static-pod-path <path>", "folder or file with manifests of pods that run without the API").argParser(
        folder,
      ),
    )
    .addOption(option("--static-pod-url <url>", "URL of such manifests, read every 20 s").argParser(url))
    .addOption(
      option("--static-pod-url-header <header>", "header of requests to that URL, as NAME: VALUE (repeatable)")
        .argParser(header)
        .default([]),
    )
    .addOption(
      option("--static-pod-port <number>", "port on the loopback address that takes such manifests").argParser(
        fixedPort,
      ),
    );

function addUp({ program, commands, home, exitWith }: Registration): void {
  withMachine(program.command("up"))
    .description("start a cluster on this machine, in the foreground")
    .addOption(dataDir(home))
    .addOption(option("--bind <address>", "address to listen on").default("127.0.0.1"))
    .addOption(option("--port <number>", "port of the API server").argParser(portNumber).default(6443))
    .addOption(
      option("--nodes <count>", "number of nodes (more than one only with the fake runtime)")
        .argParser(count)
        .default(1),
    )
    .addOption(
      option("--pod-cidr <block>", "addresses of pods (default: 10.244.0.0/16, or a free block)").argParser(cidr),
    )
    .addOption(
      option("--service-cidr <block>", "addresses of services (default: 10.96.0.0/16, or a free block)").argParser(
        cidr,
      ),
    )
    .addOption(option("--audit-log <file>", "append a line of JSON for each request (audit.k8s.io/v1)"))
    .addOption(option("--verbose", "log more").default(false))
    .action((options: UpOptions) => exitWith(commands.up(options)));
  withMachine(program.command("join"))
    .description("run a node of another machine's cluster on this one, in the foreground")
    .addOption(dataDir(home))
    .addOption(option("--server <url>", "the cluster's API server").argParser(server))
    .addOption(option("--token <token>", "a bootstrap token, as skiff token create prints it"))
    .addOption(option("--ca-hash <hash>", "hash of the cluster's certificate authority").argParser(caHash))
    .addOption(option("--verbose", "log more").default(false))
    .action((options: JoinOptions) => exitWith(commands.join(options)));
}

function addLocalCommands({ program, commands, home, exitWith }: Registration): void {
  program
    .command("down")
    .description("stop the cluster and remove its containers; its objects stay")
    .addOption(dataDir(home))
    .action((options: DownOptions) => exitWith(commands.down(options)));
  program
    .command("status")
    .description("show the health of each component")
    .addOption(dataDir(home))
    .addOption(output())
    .action((options: StatusOptions) => exitWith(commands.status(options)));
  program
    .command("kubeconfig")
    .description("print the administrator's kubeconfig")
    .addOption(dataDir(home))
    .action((options: DownOptions) => exitWith(commands.kubeconfig(options)));
}

function addToken({ program, commands, home, exitWith }: Registration): void {
  const token = program.command("token").description("tokens by which other machines join the cluster");
  token
    .command("create")
    .description("create a token and print the command for the other machine")
    .addOption(dataDir(home))
    .addOption(
      new Option("--ttl <duration>", "how long it is valid; 0 for ever").argParser(duration).default(day, "24h"),
    )
    .addOption(new Option("--description <text>", "what it is for"))
    .action((options: CreateOptions) => exitWith(commands.createToken(options)));
  token
    .command("list")
    .description("print the tokens")
    .addOption(dataDir(home))
    .action((options: TokenCommand) => exitWith(commands.listTokens(options)));
  token
    .command("delete")
    .description("delete tokens")
    .argument("<tokens...>", "tokens or their ids")
    .addOption(dataDir(home))
    .action((tokens: string[], options: TokenCommand) => exitWith(commands.deleteTokens({ ...options, tokens })));
}

function addRestore({ program, commands, exitWith }: Registration): void {
  program
    .command("restore")
    .description("on AWS: prepare two tables, restored to the same instant, to be served again")
    .requiredOption("--region <region>", "region of the tables")
    .requiredOption("--objects <table>", "the restored table of objects")
    .requiredOption("--changes <table>", "the restored table of changes, of the same instant")
    .option("--yes", "change the tables; without it the plan is printed", false)
    .option("--again", "restore tables that were restored or written before", false)
    .addOption(output())
    .action((options: RestoreOptions) => exitWith(commands.restore(options)));
}

function addProxy({ program, commands, exitWith }: Registration): void {
  program
    .command("proxy")
    .description("on AWS: serve kubectl by signed requests, with exec, attach, port-forward and cp")
    .addOption(option("--outputs <file>", "output of `cdk deploy --outputs-file`, instead of the next four"))
    .addOption(option("--server <url>", "the API's endpoint (output Endpoint)"))
    .addOption(option("--link <url>", "the WebSocket API (output Dial)"))
    .addOption(option("--cluster-id <id>", "ACCOUNT/REGION/NAME (output ClusterId)"))
    .addOption(option("--region <region>", "region of the cluster (default: that of --cluster-id)"))
    .addOption(option("--port <number>", "port on 127.0.0.1").argParser(portNumber).default(8443))
    .addOption(option("--kubeconfig <file>", "write a kubeconfig to this file (default: standard output)"))
    .addOption(option("--ca <file>", "CA of the cluster's certificates, if this machine does not trust it"))
    .addOption(option("--verbose", "log more").default(false))
    .action((options: ProxyOptions) => exitWith(commands.proxy(options)));
}

function addCost({ program, commands, exitWith }: Registration): void {
  const quantity = (flags: string, description: string, fallback: number) =>
    new Option(flags, description).argParser(amount).default(fallback);
  program
    .command("cost")
    .description("on AWS: estimate the monthly cost of a cluster")
    .addOption(templates())
    .addOption(quantity("--agents <count>", "machines that send heartbeats", 3))
    .addOption(quantity("--requests <count>", "requests of clients a month", 0))
    .addOption(quantity("--writes <count>", "writes among them", 0))
    .addOption(quantity("--rollouts <count>", "rollouts of Deployments with two replicas, among the writes", 0))
    .addOption(quantity("--stored <gb>", "GB of objects and their log", 0.01))
    .addOption(output())
    .action((options: CostOptions) => exitWith(commands.cost(options)));
}

function addAccountCommands({ program, commands, exitWith }: Registration): void {
  program
    .command("doctor")
    .description("on AWS: check that the account is ready for a deployment")
    .addOption(templates())
    .addOption(output())
    .action((options: DoctorOptions) => exitWith(commands.doctor(options)));
  program
    .command("destroy")
    .description("on AWS: remove the cluster of the configuration")
    .option("--keep-data", "keep the tables, the secret, the pods' logs and the issuer", false)
    .option("--delete-data", "delete them too", false)
    .option("--config <file>", "the configuration (skiff.config.json)")
    .option("--yes", "remove it; without it the plan is printed", false)
    .action(({ keepData, deleteData, config, yes }: DestroyFlags, command: Command) => {
      if (keepData === deleteData) {
        command.error("error: one of --keep-data and --delete-data is required", { exitCode: 2 });
      }
      return exitWith(commands.destroy({ data: keepData ? "keep" : "delete", yes, config }));
    });
}

const registrations = [addUp, addLocalCommands, addToken, addRestore, addProxy, addCost, addAccountCommands];

/**
 * Without `--` before them, npm removes options from the command line of a script and passes them as `npm_config_…`: the
 * command would use its defaults, for example another cluster's data folder.
 */
function refuseSwallowed(program: Command, [name]: readonly string[]): void {
  const command = program.commands.find((each) => each.name() === name);
  for (const { long, envVar } of command?.options ?? []) {
    const swallowed = envVar && process.env[envVar.toLowerCase().replace(/^skiff_/, "npm_config_")] !== undefined;
    if (swallowed) program.error(`error: npm has not passed on ${long}: write -- before the options`, { exitCode: 2 });
  }
}

/**
 * Parses the command line and runs the command. Resolves with the exit code: the command's own, or 2 for a command line
 * that cannot be parsed. `home` is the folder that holds `.skiff`.
 */
export async function parseCommand(words: readonly string[], commands: Commands, home: string): Promise<number> {
  let code = 0;
  const program = new Command("skiff")
    .description("Kubernetes without servers")
    .version("0.1.0")
    .showSuggestionAfterError()
    .exitOverride();
  const exitWith = async (command: Promise<number>): Promise<void> => {
    code = await command;
  };
  for (const add of registrations) add({ program, commands, home, exitWith });
  try {
    refuseSwallowed(program, words);
    await program.parseAsync(words, { from: "user" });
  } catch (error) {
    const { exitCode, code: kind } = error as { exitCode?: number; code?: string };
    if (kind === undefined || exitCode === undefined) throw error;
    // Help and version end here too, with 0.
    return exitCode === 0 ? 0 : 2;
  }
  return code;
}

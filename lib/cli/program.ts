import { Command, InvalidArgumentError, Option } from "commander";
import { isDnsSubdomain, parseCidr } from "#api/meta";
import type { CostOptions } from "#cli/cost";
import type { DestroyOptions } from "#cli/destroy";
import type { DoctorOptions } from "#cli/doctor";
import type { ProxyOptions } from "#cli/proxy";
import type { RestoreOptions } from "#cli/restore";
import type { DownOptions, StatusOptions, UpOptions } from "#hosts/embedded";

/** What the commands do; given by the host. Each resolves with the exit code. */
export interface Commands {
  up(options: UpOptions): Promise<number>;
  down(options: DownOptions): Promise<number>;
  status(options: StatusOptions): Promise<number>;
  kubeconfig(options: DownOptions): Promise<number>;
  restore(options: RestoreOptions): Promise<number>;
  proxy(options: ProxyOptions): Promise<number>;
  cost(options: CostOptions): Promise<number>;
  doctor(options: DoctorOptions): Promise<number>;
  destroy(options: DestroyOptions): Promise<number>;
}

const runtimes = ["auto", "containerd", "fake"];

function portNumber(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError("a port is a number from 0 to 65535.");
  return port;
}

function count(text: string): number {
  const nodes = Number(text);
  if (!/^\d+$/.test(text) || nodes < 1 || nodes > 5000)
    throw new InvalidArgumentError("it takes a number from 1 to 5000.");
  return nodes;
}

function amount(text: string): number {
  if (!/^\d+(\.\d+)?$/.test(text)) throw new InvalidArgumentError("it takes a number that is not negative.");
  return Number(text);
}

function cidr(text: string): string {
  const block = parseCidr(text);
  if (block?.version !== 4) throw new InvalidArgumentError("it takes an IPv4 block such as 10.244.0.0/16.");
  return text;
}

function name(text: string): string {
  if (!isDnsSubdomain(text) || text.length > 63) {
    throw new InvalidArgumentError("a node's name is lower-case letters, digits, dashes and dots, such as node-1.");
  }
  return text;
}

/** A folder's path: an empty one would be the folder that the command happens to run in. */
function folder(text: string): string {
  if (text.trim() === "") throw new InvalidArgumentError("it takes the path of a folder.");
  return text;
}

function mirror(text: string, previous: string[] = []): string[] {
  if (!/^[^=\s]+=https?:\/\/\S+$/.test(text)) {
    throw new InvalidArgumentError("it takes REGISTRY=URL, such as docker.io=http://127.0.0.1:5000.");
  }
  return [...previous, text];
}

interface DestroyFlags {
  keepData: boolean;
  deleteData: boolean;
  config?: string;
  yes: boolean;
}

/** An option that is also an environment variable: `--data-dir` is `SKIFF_DATA_DIR`. */
const option = (flags: string, description: string): Option => {
  const made = new Option(flags, description);
  return made.env(`SKIFF_${made.name().replace(/-/g, "_").toUpperCase()}`);
};

/**
 * Reads the command line and runs what it asks for. Resolves with the exit code: 0 when all went well, 2 for words
 * that cannot be understood, whatever the command says otherwise. `home` is where `~/.skiff` lies.
 */
export async function parseCommand(words: readonly string[], commands: Commands, home: string): Promise<number> {
  let code = 0;
  const dataDir = () =>
    option("--data-dir <folder>", "where the cluster keeps everything").argParser(folder).default(`${home}/.skiff`);
  const program = new Command("skiff")
    .description("Kubernetes without servers")
    .version("0.1.0")
    .showSuggestionAfterError()
    .exitOverride();
  program
    .command("up")
    .description("start a cluster on this machine, in the foreground")
    .addOption(dataDir())
    .addOption(option("--bind <address>", "address to listen on").default("127.0.0.1"))
    .addOption(option("--port <number>", "port of the API server").argParser(portNumber).default(6443))
    .addOption(option("--runtime <name>", "what runs containers").choices(runtimes).default("auto"))
    .addOption(option("--containerd-socket <path>", "use this containerd instead of a private one"))
    .addOption(
      option("--install-runtime", "install containerd, runc and the CNI plugins if they are missing").default(false),
    )
    .addOption(
      option("--nodes <count>", "how many nodes (more than one only with the fake runtime)")
        .argParser(count)
        .default(1),
    )
    .addOption(option("--node-name <name>", "name of the node (default: the machine's host name)").argParser(name))
    .addOption(
      option("--pod-cidr <block>", "addresses of pods (default: 10.244.0.0/16, or a block that is free)").argParser(
        cidr,
      ),
    )
    .addOption(option("--service-cidr <block>", "addresses of services").argParser(cidr).default("10.96.0.0/16"))
    .addOption(
      option("--registry-mirror <registry=url>", "pull images of a registry from here (can be given again)")
        .argParser(mirror)
        .default([]),
    )
    .addOption(option("--audit-log <file>", "append a line of JSON for each request (audit.k8s.io/v1)"))
    .addOption(option("--verbose", "say more").default(false))
    .action(async (options: UpOptions) => {
      code = await commands.up(options);
    });
  program
    .command("down")
    .description("stop the cluster and remove its containers; its objects stay")
    .addOption(dataDir())
    .action(async (options: DownOptions) => {
      code = await commands.down(options);
    });
  program
    .command("status")
    .description("say how every part does")
    .addOption(dataDir())
    .addOption(new Option("--output <form>", "form of the answer").choices(["text", "json"]).default("text"))
    .action(async (options: StatusOptions) => {
      code = await commands.status(options);
    });
  program
    .command("kubeconfig")
    .description("print the administrator's kubeconfig")
    .addOption(dataDir())
    .action(async (options: DownOptions) => {
      code = await commands.kubeconfig(options);
    });
  program
    .command("restore")
    .description("on AWS: make two tables that were restored to one instant fit to be served again")
    .requiredOption("--region <region>", "region of the tables")
    .requiredOption("--objects <table>", "the restored table of objects")
    .requiredOption("--changes <table>", "the restored table of changes, of the same instant")
    .option("--yes", "do it; without this it only says what would be done", false)
    .option("--again", "do it although the tables have been restored or written before", false)
    .addOption(new Option("--output <form>", "form of the answer").choices(["text", "json"]).default("text"))
    .action(async (options: RestoreOptions) => {
      code = await commands.restore(options);
    });
  program
    .command("proxy")
    .description("on AWS: a way for kubectl by signed requests, with exec, attach, port-forward and cp")
    .addOption(option("--outputs <file>", "what `cdk deploy --outputs-file` has written, instead of the next four"))
    .addOption(option("--server <url>", "the API's endpoint (output Endpoint)"))
    .addOption(option("--link <url>", "the WebSocket API (output Dial)"))
    .addOption(option("--cluster-id <id>", "ACCOUNT/REGION/NAME (output ClusterId)"))
    .addOption(option("--region <region>", "region of the cluster, where --cluster-id does not say it"))
    .addOption(option("--port <number>", "port on 127.0.0.1").argParser(portNumber).default(8443))
    .addOption(option("--kubeconfig <file>", "write a kubeconfig for it here; it is printed otherwise"))
    .addOption(option("--ca <file>", "authority of the cluster's certificates, where this machine does not trust it"))
    .addOption(option("--verbose", "say more").default(false))
    .action(async (options: ProxyOptions) => {
      code = await commands.proxy(options);
    });
  const much = (flags: string, what: string, usual: number) => new Option(flags, what).argParser(amount).default(usual);
  program
    .command("cost")
    .description("on AWS: say what a cluster costs in a month")
    .addOption(new Option("--templates <folder>", "what `npm run synth` has written").default("cdk.out"))
    .addOption(much("--agents <count>", "machines that heartbeat", 3))
    .addOption(much("--requests <count>", "requests of clients a month", 0))
    .addOption(much("--writes <count>", "writes among them", 0))
    .addOption(much("--rollouts <count>", "Deployments of two replicas that are rolled out, among the writes", 0))
    .addOption(much("--stored <gb>", "GB of objects and their log", 0.01))
    .addOption(new Option("--output <form>", "form of the answer").choices(["text", "json"]).default("text"))
    .action(async (options: CostOptions) => {
      code = await commands.cost(options);
    });
  program
    .command("doctor")
    .description("on AWS: say whether the account is fit for what would be deployed")
    .addOption(new Option("--templates <folder>", "what `npm run synth` has written").default("cdk.out"))
    .addOption(new Option("--output <form>", "form of the answer").choices(["text", "json"]).default("text"))
    .action(async (options: DoctorOptions) => {
      code = await commands.doctor(options);
    });
  program
    .command("destroy")
    .description("on AWS: remove the cluster that the configuration names")
    .option("--keep-data", "tables, secret, pods' logs and issuer stay", false)
    .option("--delete-data", "they go too", false)
    .option("--config <file>", "the configuration (skiff.config.json)")
    .option("--yes", "do it; without this it only says what would be done", false)
    .action(async ({ keepData, deleteData, config, yes }: DestroyFlags, command: Command) => {
      if (keepData === deleteData) {
        command.error("error: say what becomes of the data, by one of --keep-data and --delete-data", { exitCode: 2 });
      }
      const data = keepData ? "keep" : "delete";
      code = await commands.destroy({ data, yes, ...(config === undefined ? {} : { config }) });
    });
  try {
    await program.parseAsync(words, { from: "user" });
  } catch (error) {
    const { exitCode, code: kind } = error as { exitCode?: number; code?: string };
    if (kind === undefined || exitCode === undefined) throw error;
    // Help and version end here too, with 0.
    return exitCode === 0 ? 0 : 2;
  }
  return code;
}

import { mkdir, rm, statfs, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import { csiTable, registrationTable } from "#agent/csi";
import { compileServices, type ServiceTable } from "#agent/grpc";
import { bindMount, isMounted, unmount } from "#agent/runtime";

/** How a call goes wrong: no answer, before or after its work is done, an error, or an answer that comes late. */
export type Fault = { hangs: true | "done" } | { code: grpc.status; message: string } | { afterMilliseconds: number };

export interface CsiDriverOptions {
  name: string;
  /** Holds the volumes' contents. */
  folder: string;
  socket: string;
  /** The registrar's socket; absent: the driver is not registered. */
  registrarSocket?: string;
  /** Defaults to CSIPlugin. */
  pluginType?: string;
  versions?: string[];
  nodeId?: string;
  maxVolumes?: number;
  topology?: Record<string, string>;
  capabilities?: string[];
  /** Whether volumes are bind mounts, which needs root; otherwise their targets are folders. */
  mounts?: boolean;
}

/** Requests as they arrive. */
export interface ReceivedCall {
  call: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what it expects of a request.
  request: any;
}

/** A CSI driver for tests, whose volumes are folders, with its registrar. */
export class CsiDriver {
  readonly calls: ReceivedCall[] = [];
  /** Calls whose work is done and whose answer is never sent. */
  readonly done: ReceivedCall[] = [];
  /** By the name of the call. */
  readonly faults = new Map<string, Fault>();
  /** What the registrar was notified of. */
  readonly notices: { plugin_registered: boolean; error: string }[] = [];
  readonly #options: CsiDriverOptions;
  readonly #servers: grpc.Server[] = [];

  constructor(options: CsiDriverOptions) {
    this.#options = options;
  }

  async start(): Promise<this> {
    const { socket, registrarSocket } = this.#options;
    await this.#serve(socket, csiTable, this.#nodeCalls());
    if (registrarSocket !== undefined) await this.#serve(registrarSocket, registrationTable, this.#registrarCalls());
    return this;
  }

  /** Ends the servers at once, and removes their sockets as a driver does that ends in order. */
  async stop(): Promise<void> {
    for (const server of this.#servers) server.forceShutdown();
    const { socket, registrarSocket } = this.#options;
    for (const path of [socket, registrarSocket]) if (path !== undefined) await rm(path, { force: true });
  }

  named(call: string): ReceivedCall[] {
    return this.calls.filter((one) => one.call === call);
  }

  /** The folder with a volume's content. */
  contentOf(id: string): string {
    return join(this.#options.folder, id);
  }

  #registrarCalls(): Record<string, Handler> {
    const { pluginType = "CSIPlugin", name, socket, versions = ["1.0.0"] } = this.#options;
    return {
      GetInfo: async () => ({ type: pluginType, name, endpoint: socket, supported_versions: versions }),
      NotifyRegistrationStatus: async (request) => {
        this.notices.push(request);
        return {};
      },
    };
  }

  #nodeCalls(): Record<string, Handler> {
    const { nodeId = "node-1", maxVolumes = 0, topology, capabilities = [], name } = this.#options;
    return {
      GetPluginInfo: async () => ({ name, vendor_version: "1" }),
      Probe: async () => ({ ready: { value: true } }),
      NodeGetInfo: async () => ({
        node_id: nodeId,
        max_volumes_per_node: maxVolumes,
        ...(topology ? { accessible_topology: { segments: topology } } : {}),
      }),
      NodeGetCapabilities: async () => ({ capabilities: capabilities.map((type) => ({ rpc: { type } })) }),
      NodePublishVolume: async ({ volume_id, target_path, volume_context }) => {
        const content = this.contentOf(volume_id);
        await mkdir(content, { recursive: true });
        await writeFile(join(content, "context.json"), JSON.stringify(volume_context));
        await mkdir(target_path, { recursive: true });
        if (this.#options.mounts && !(await isMounted(target_path))) await bindMount(content, target_path);
        return {};
      },
      NodeUnpublishVolume: async ({ volume_id, target_path }) => {
        while (await isMounted(target_path)) await unmount(target_path);
        await rm(target_path, { recursive: true, force: true });
        await rm(this.contentOf(volume_id), { recursive: true, force: true });
        return {};
      },
      NodeGetVolumeStats: async ({ volume_path }) => {
        const { blocks, bfree, bavail, bsize, files, ffree } = await statfs(volume_path);
        const used = (blocks - bfree) * bsize;
        return {
          usage: [
            { unit: "BYTES", total: blocks * bsize, available: bavail * bsize, used },
            { unit: "INODES", total: files, available: ffree, used: files - ffree },
          ],
        };
      },
    };
  }

  async #serve(socket: string, table: ServiceTable, handlers: Record<string, Handler>): Promise<void> {
    const method = compileServices(table);
    const server = new grpc.Server();
    for (const [service, calls] of Object.entries(table.services)) {
      const definition: Record<string, grpc.MethodDefinition<unknown, object>> = {};
      const implementation: grpc.UntypedServiceImplementation = {};
      for (const line of calls) {
        const call = line.split(" ")[0] ?? "";
        const { path, decodeRequest, encodeResponse } = method(service, call);
        definition[call] = {
          path,
          requestStream: false,
          responseStream: false,
          requestSerialize: () => Buffer.alloc(0),
          requestDeserialize: decodeRequest,
          responseSerialize: encodeResponse,
          responseDeserialize: () => ({}),
        };
        const handler = handlers[call];
        if (handler) implementation[call] = this.#handle(call, handler);
      }
      server.addService(definition, implementation);
    }
    await mkdir(dirname(socket), { recursive: true });
    await rm(socket, { force: true });
    await new Promise<void>((resolve, reject) =>
      server.bindAsync(`unix://${socket}`, grpc.ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      ),
    );
    this.#servers.push(server);
  }

  #handle(call: string, handler: Handler): grpc.handleUnaryCall<unknown, unknown> {
    return ({ request }, answer) => void this.#answer({ call, request }, handler, answer);
  }

  async #answer(received: ReceivedCall, handler: Handler, answer: grpc.sendUnaryData<unknown>): Promise<void> {
    this.calls.push(received);
    const fault = this.faults.get(received.call);
    if (fault && "hangs" in fault && fault.hangs === true) return;
    if (fault && "code" in fault) return answer({ code: fault.code, details: fault.message });
    if (fault && "afterMilliseconds" in fault) {
      await new Promise((resolve) => setTimeout(resolve, fault.afterMilliseconds));
    }
    try {
      const result = await handler(received.request);
      if (fault && "hangs" in fault) this.done.push(received);
      else answer(null, result);
    } catch (error) {
      answer({ code: grpc.status.INTERNAL, details: String(error) });
    }
  }
}

// biome-ignore lint/suspicious/noExplicitAny: requests have the form of their table.
type Handler = (request: any) => Promise<object>;

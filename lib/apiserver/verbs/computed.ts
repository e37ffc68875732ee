import { type ComputeContext, type Kind, type KubernetesObject, type NodeUsage, nodeUsage } from "#api/meta";
import { type ApiError, ignoreNotFound, isApiError, messageOf, notFound, parseJson, serviceUnavailable } from "#base";
import { indexOf, keyOf, named } from "#resources";
import { checkMetadataForm, formatOf, objectAnswer } from "../answer.ts";
import { listAnswer } from "../list-answer.ts";
import { listParameters, selectionOf } from "../list-options.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import type { RequestScope } from "../server.ts";

/** A node that takes longer is left out, as one that cannot be reached. */
const answerMilliseconds = 5000;
/** The largest answer of a node. */
const answerBytes = 16 * 2 ** 20;

/** GET of one object of a kind whose objects are computed. */
export async function getComputed(call: RequestScope, request: ApiRequest): Promise<ApiResponse> {
  const { namespace, name } = call;
  const { kind } = call.resource;
  const [object] = await compute(call, request, { namespace, name });
  // metrics-server names the object with its namespace.
  if (!object) throw notFound(named(kind), namespace === "" ? name : `${namespace}/${name}`);
  return objectAnswer(call, request, 200, { object });
}

/** GET of a collection of a kind whose objects are computed: in one part, sorted by namespace and name. */
export async function listComputed(call: RequestScope, request: ApiRequest): Promise<ApiResponse> {
  const { kind } = call.resource;
  const format = formatOf(request, { path: "collection" });
  checkMetadataForm(format, kind, true);
  const selected = selectionOf(kind, call.namespace, request.query);
  listParameters(request.query, selected.prefix);
  const objects = await compute(call, request, { namespace: call.namespace });
  const keyed = objects.map((object) => ({
    key: keyOf(object.metadata.namespace, object.metadata.name ?? ""),
    object,
  }));
  const found = keyed.filter(({ key, object }) => selected.matches(key, indexOf(kind, object)));
  found.sort((a, b) => (a.key < b.key ? -1 : 1));
  return listAnswer(
    call,
    request,
    format,
    {},
    found.map(({ object }) => object),
  );
}

type Wanted = Parameters<NonNullable<Kind["compute"]>>[0];

/** Throws ApiError 501 where every node refuses to be asked, as without a gateway on AWS. */
async function compute(call: RequestScope, { signal }: ApiRequest, wanted: Wanted): Promise<KubernetesObject[]> {
  const { resources, user, server } = call;
  const client = resources.client(user, server.access);
  const answers = new Map<string, Promise<Answer>>();
  const context: ComputeContext = {
    now: resources.clock.now(),
    async read<T extends KubernetesObject>(kind: Kind<T>, { name, ...place }: NamedPlace): Promise<T[]> {
      if (name === undefined) return (await client.list(kind, place)).items;
      const found = await ignoreNotFound(client.get(kind, { ...place, name }));
      return found ? [found] : [];
    },
    async usage(node) {
      const known = answers.get(node) ?? askNode(call, node, signal);
      answers.set(node, known);
      return (await known).usage;
    },
  };
  const objects = await call.resource.kind.compute!(wanted, context);
  if (objects.length > 0) return objects;
  const [refusal] = (await Promise.all(answers.values())).map(({ refused }) => refused).filter((one) => one);
  if (refusal) throw refusal;
  return objects;
}

/** What a node answered: neither, where it does not answer in time or not as expected. */
interface Answer {
  usage?: NodeUsage;
  /** It cannot be asked at all. */
  refused?: ApiError;
}

interface NamedPlace {
  namespace?: string;
  name?: string;
}

/** Asks a node. Throws ApiError 503 where this server reaches no nodes at all. */
async function askNode(
  { server: { links }, resources }: RequestScope,
  node: string,
  signal: AbortSignal,
): Promise<Answer> {
  if (!links) throw serviceUnavailable("the metrics of nodes and pods need a server with connections to the nodes");
  try {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(answerMilliseconds)]);
    const { status, body } = await links.request(node, { type: "usage" }, limited);
    const text = await textOf(body);
    if (status !== 200) throw new Error(`it answered ${status}`);
    return { usage: nodeUsage.parse(parseJson(text)) };
  } catch (error) {
    if (isApiError(error) && error.code === 501) return { refused: error };
    resources.log.debug("a node's usage could not be read", { node, error: messageOf(error) });
    return {};
  }
}

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of body) {
    size += piece.length;
    if (size > answerBytes) throw new Error(`its answer has more than ${answerBytes} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}

import type { KubernetesObject, QuestionSubresource } from "#api/meta";
import { internalError, notFound } from "#base";
import { readObject } from "#wire";
import { accessContext } from "../access.ts";
import { formatOf, shownAnswer } from "../answer.ts";
import { keyOf, objectAs } from "../objects.ts";
import { writeOptions } from "../options.ts";
import type { Resource } from "../registry.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import { admissionRequest, type Call, kindOf, mutate, named, readEntry, validate, warn } from "../server.ts";
import { refuse, setDefaults } from "../write.ts";

type Question = QuestionSubresource<KubernetesObject>;

function formOf({ server }: Call, part: Question): Resource {
  const form = server.registry.ofKind(part.accepts);
  if (!form) throw internalError(`the catalog has no ${part.accepts.kind}`);
  return form;
}

/** Answers a question about an object, which it changes no more than anything else. `question` is changed. */
export async function ask(call: Call, part: Question, question: KubernetesObject): Promise<KubernetesObject> {
  const { server, resource, namespace, name } = call;
  const form = formOf(call, part).kind;
  question.metadata ??= {};
  part.place(question, { namespace, name });
  const entry = await readEntry(server, resource.type, keyOf(namespace, name));
  if (!entry) throw notFound(named(kindOf(call)), name);
  Object.assign(question.metadata, { name, ...(namespace === "" ? {} : { namespace }) });
  setDefaults(form, question);
  const admission = admissionRequest(call, "CREATE", { object: question });
  await mutate(server, admission);
  refuse(form, "", () => form.validate?.(question) ?? []);
  await validate(server, admission);
  const object = objectAs(server, resource, entry);
  const answer = await part.answer(object, question, accessContext(call));
  warn(call, answer.warnings);
  return answer.object;
}

/** POST to a subresource that answers; 201 with the question in the form of its own kind, as upstream does. */
export async function question(call: Call, request: ApiRequest, part: Question): Promise<ApiResponse> {
  const { kind } = formOf(call, part);
  const options = writeOptions(request.query, "CreateOptions");
  call.dryRun = options.dryRun;
  const sent = await readObject(kind, await request.body(), request.headers["content-type"], options.fieldValidation);
  warn(call, sent.warnings);
  const answer = await ask(call, part, sent.object as unknown as KubernetesObject);
  const format = formatOf(request, { tables: false });
  return shownAnswer(call.server, 201, kind, answer, format, request);
}

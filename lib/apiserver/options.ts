import {
  decode,
  type FieldError,
  forbiddenValue,
  invalidValue,
  messageShapeOf,
  notSupported,
  validateFieldManager,
} from "#api/meta";
import { DeleteOptions } from "#api/meta-v1";
import { badRequest, invalid, unsupported } from "#base";
import { patchTypes } from "#patch";
import { defaultOptions, type Propagation, type WriteOptions } from "#resources";
import { bodyTypes, type FieldValidation, mediaTypeOf, protobuf, readText } from "#wire";
import { booleanOption, integerOption, textOption } from "./query.ts";
import type { ApiRequest } from "./request.ts";

/** The kinds of options that a verb has (meta/v1). */
export type OptionsKind = "CreateOptions" | "UpdateOptions" | "PatchOptions" | "DeleteOptions";

/**
 * Reads the options of a request before its verb runs. They are frozen: nothing changes them later. Throws ApiError 400
 * or 422 naming what is wrong, and 501 for server-side apply.
 */
export async function readOptions(request: ApiRequest, kind: OptionsKind): Promise<WriteOptions> {
  if (kind === "DeleteOptions") return Object.freeze(await deleteOptions(request));
  const mediaType = kind === "PatchOptions" ? mediaTypeOf(request.headers["content-type"]) : undefined;
  if (mediaType === patchTypes.apply) throw unsupported("server-side apply (application/apply-patch+yaml)");
  return Object.freeze(writeOptions(request, kind));
}

const validations = ["", "Ignore", "Strict", "Warn"];

/** An empty value counts: upstream refuses `?dryRun=`, which a script with an empty variable sends. */
const dryRunErrors = (values: readonly string[]): FieldError[] =>
  values.every((value) => value === "All") ? [] : [notSupported("dryRun", values, ["All"])];

/** Throws ApiError 422 naming what is wrong with the options. */
function refuse(kind: string, errors: FieldError[]): void {
  if (errors.length > 0) throw invalid({ group: "meta.k8s.io", kind }, "", errors);
}

/** Follows ValidateCreateOptions and its siblings. */
function writeOptions({ query, headers }: ApiRequest, kind: OptionsKind): WriteOptions {
  const errors: FieldError[] = [];
  if (kind === "PatchOptions" && booleanOption(query, "force") !== undefined) {
    errors.push(forbiddenValue("force", "may not be specified for non-apply patch"));
  }
  const fieldManager = textOption(query, "fieldManager") ?? "";
  errors.push(...validateFieldManager(fieldManager, "fieldManager"));
  const dryRun = query.getAll("dryRun");
  errors.push(...dryRunErrors(dryRun));
  const fieldValidation = textOption(query, "fieldValidation") ?? "";
  if (!validations.includes(fieldValidation)) {
    errors.push(notSupported("fieldValidation", fieldValidation, validations));
  }
  refuse(kind, errors);
  return {
    ...defaultOptions,
    dryRun: dryRun.length > 0,
    fieldValidation: (fieldValidation || "Warn") as FieldValidation,
    fieldManager: fieldManager || managerOf(headers["user-agent"]),
  };
}

const longestManager = 128;

/** The manager of a client that names none, from its user agent (upstream's prefixFromUserAgent). */
const managerOf = (userAgent = ""): string =>
  [...(userAgent.split("/")[0] ?? "")]
    .filter((character) => !/\p{C}/u.test(character))
    .join("")
    .slice(0, longestManager);

/** The members of meta/v1 DeleteOptions that are read. */
interface DeleteBody {
  gracePeriodSeconds?: number | bigint | undefined;
  propagationPolicy?: string | undefined;
  orphanDependents?: boolean | undefined;
  dryRun?: string[] | undefined;
  ignoreStoreReadErrorWithClusterBreakingPotential?: boolean | undefined;
  preconditions?: { uid?: string | undefined; resourceVersion?: string | undefined } | undefined;
}

/** DeleteOptions from the query, which is read where the request has no body. Throws ApiError 400 for what does not parse. */
function fromQuery(query: URLSearchParams): DeleteBody {
  return {
    gracePeriodSeconds: integerOption(query, "gracePeriodSeconds"),
    orphanDependents: booleanOption(query, "orphanDependents"),
    propagationPolicy: textOption(query, "propagationPolicy"),
    dryRun: query.getAll("dryRun"),
    ignoreStoreReadErrorWithClusterBreakingPotential: booleanOption(query, unsafe),
  };
}

const unsafe = "ignoreStoreReadErrorWithClusterBreakingPotential";
const policies = ["Foreground", "Background", "Orphan"];

/** Reads DeleteOptions from the body, or from the query where there is none; follows ValidateDeleteOptions. */
async function deleteOptions(request: ApiRequest): Promise<WriteOptions> {
  const { query, headers } = request;
  const body = await request.body();
  const given = body.length === 0 ? fromQuery(query) : await fromBody(body, headers["content-type"]);
  const { gracePeriodSeconds: grace, propagationPolicy: policy, orphanDependents: orphans, dryRun = [] } = given;
  refuse("DeleteOptions", removeErrors(given));
  const legacy = orphans === undefined ? undefined : orphans ? "Orphan" : "Background";
  return {
    ...defaultOptions,
    dryRun: dryRun.length > 0,
    preconditions: {
      uid: given.preconditions?.uid,
      resourceVersion: given.preconditions?.resourceVersion,
    },
    deletion: {
      // A negative grace period means the shortest, as in upstream.
      gracePeriodSeconds: grace === undefined ? undefined : Number(grace) < 0 ? 1 : Number(grace),
      propagation: (policy ?? legacy) as Propagation | undefined,
      unsafe: given[unsafe],
      cascades: policy === undefined && legacy === "Background",
    },
  };
}

async function fromBody(body: Uint8Array, contentType: string | undefined): Promise<DeleteBody> {
  const mediaType = mediaTypeOf(contentType);
  if (mediaType === bodyTypes.protobuf) {
    const { decodeEnvelope } = await protobuf();
    return decodeEnvelope(body).decode(messageShapeOf(DeleteOptions)) as DeleteBody;
  }
  const raw = await readText(body, mediaType, false);
  if (raw.kind !== "" && raw.kind !== "DeleteOptions") {
    throw badRequest(`decoded object cannot be converted to DeleteOptions: it is a ${raw.kind}`);
  }
  return decode(messageShapeOf(DeleteOptions), raw.json ?? {}).object as DeleteBody;
}

function removeErrors(given: DeleteBody): FieldError[] {
  const errors: FieldError[] = [];
  const { gracePeriodSeconds, propagationPolicy: policy, orphanDependents, dryRun = [], preconditions } = given;
  if (policy !== undefined && orphanDependents !== undefined) {
    const why = "orphanDependents and deletionPropagation cannot be both set";
    errors.push(invalidValue("propagationPolicy", policy, why));
  }
  if (policy !== undefined && !policies.includes(policy)) {
    errors.push(notSupported("propagationPolicy", policy, [...policies, "nil"]));
  }
  errors.push(...dryRunErrors(dryRun));
  if (!given[unsafe]) return errors;
  const others = { propagationPolicy: policy, orphanDependents, gracePeriodSeconds, preconditions };
  for (const [name, value] of Object.entries(others)) {
    if (value !== undefined) errors.push(invalidValue(unsafe, true, `cannot be set together with .${name}`));
  }
  return errors;
}

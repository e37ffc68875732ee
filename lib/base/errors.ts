/** One reason why a request was refused, tied to a field where there is one (meta/v1 StatusCause). */
export interface StatusCause {
  reason?: string;
  message?: string;
  field?: string;
}

/** What a Status is about (meta/v1 StatusDetails). */
export interface StatusDetails {
  name?: string;
  group?: string;
  kind?: string;
  uid?: string;
  causes?: StatusCause[];
  retryAfterSeconds?: number;
}

/** The answer to a request that has no object to show (meta/v1 Status). */
export interface Status {
  kind: "Status";
  apiVersion: "v1";
  metadata: Record<string, unknown>;
  status: "Success" | "Failure";
  message?: string;
  reason?: string;
  details?: StatusDetails;
  code?: number;
}

/** A refusal in the words of the Kubernetes API. What is thrown anywhere on the way of a request ends as its Status. */
export class ApiError extends Error {
  readonly status: Status;
  constructor(code: number, reason: string, message: string, details?: StatusDetails, options?: ErrorOptions) {
    super(message, options);
    this.name = "ApiError";
    // The members in upstream's order.
    const about = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure" } as const;
    this.status = { ...about, message, reason, ...(details ? { details } : {}), code };
  }
  get code(): number {
    return this.status.code ?? 500;
  }
  get reason(): string {
    return this.status.reason ?? "";
  }
}

/** A group and the plural name of a resource in it, as messages spell them. */
export interface ResourceName {
  group: string;
  resource: string;
}

/** `deployments.apps`, or `pods` for the core group. */
export const resourceName = ({ group, resource }: ResourceName): string =>
  group === "" ? resource : `${resource}.${group}`;

const detailsOf = ({ group, resource }: ResourceName, name: string): StatusDetails => ({
  ...(name === "" ? {} : { name }),
  ...(group === "" ? {} : { group }),
  ...(resource === "" ? {} : { kind: resource }),
});

export const isApiError = (error: unknown): error is ApiError => error instanceof ApiError;

/** Whether an error is a Status with this reason, such as `NotFound`. */
export const isReason = (error: unknown, reason: string): boolean => isApiError(error) && error.reason === reason;

/** Whether an error is a Status one of whose causes has this reason (apimachinery's HasStatusCause). */
export const hasCause = (error: unknown, cause: string): boolean =>
  isApiError(error) && (error.status.details?.causes?.some(({ reason }) => reason === cause) ?? false);

/** Resolves with undefined where the API answers with one of these reasons; every other rejection passes through. */
export async function ignoreReasons<T>(reasons: readonly string[], request: Promise<T>): Promise<T | undefined> {
  try {
    return await request;
  } catch (error) {
    if (reasons.some((reason) => isReason(error, reason))) return undefined;
    throw error;
  }
}

/** The object of a request, or undefined where it does not exist. */
export const ignoreNotFound = <T>(request: Promise<T>): Promise<T | undefined> => ignoreReasons(["NotFound"], request);

export const notFound = (resource: ResourceName, name: string): ApiError =>
  new ApiError(404, "NotFound", `${resourceName(resource)} "${name}" not found`, detailsOf(resource, name));

export const alreadyExists = (resource: ResourceName, name: string): ApiError =>
  new ApiError(409, "AlreadyExists", `${resourceName(resource)} "${name}" already exists`, detailsOf(resource, name));

/** A conflict with `why` as the last part of upstream's sentence. */
export const conflict = (resource: ResourceName, name: string, why: string): ApiError =>
  new ApiError(
    409,
    "Conflict",
    `Operation cannot be fulfilled on ${resourceName(resource)} "${name}": ${why}`,
    detailsOf(resource, name),
  );

/** 422 with one cause per field; `kind` is the kind's name, as upstream puts it there. */
export function invalid(kind: { group: string; kind: string }, name: string, causes: StatusCause[]): ApiError {
  // Upstream prints equal causes once.
  const all = causes.map((cause) => (cause.field ? `${cause.field}: ${cause.message}` : (cause.message ?? "")));
  const lines = [...new Set(all)];
  const text = lines.length === 1 ? lines[0] : `[${lines.join(", ")}]`;
  return new ApiError(
    422,
    "Invalid",
    `${resourceName({ group: kind.group, resource: kind.kind })} "${name}" is invalid: ${text}`,
    { ...detailsOf({ group: kind.group, resource: kind.kind }, name), causes },
  );
}

export const badRequest = (message: string): ApiError => new ApiError(400, "BadRequest", message);

export const unauthorized = (message = "Unauthorized"): ApiError => new ApiError(401, "Unauthorized", message);

/** 403 in upstream's form; pass `why` for the part after the colon. */
export function forbidden(resource: ResourceName, name: string, why: string): ApiError {
  const what = resourceName(resource);
  const subject = name === "" ? what : `${what} "${name}"`;
  return new ApiError(403, "Forbidden", `${subject} is forbidden: ${why}`, detailsOf(resource, name));
}

export const notAcceptable = (accepted: readonly string[]): ApiError =>
  new ApiError(406, "NotAcceptable", `only the following media types are accepted: ${accepted.join(", ")}`);

export const unsupportedMediaType = (accepted: readonly string[]): ApiError =>
  new ApiError(
    415,
    "UnsupportedMediaType",
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(", ")}`,
  );

export const gone = (message: string): ApiError => new ApiError(410, "Gone", message);
export const expired = (message: string): ApiError => new ApiError(410, "Expired", message);

export const requestEntityTooLarge = (message: string): ApiError =>
  new ApiError(413, "RequestEntityTooLarge", `Request entity too large: ${message}`);

export const tooManyRequests = (message: string, retryAfterSeconds: number): ApiError =>
  new ApiError(429, "TooManyRequests", message, { retryAfterSeconds });

export const internalError = (message: string, cause?: unknown): ApiError =>
  new ApiError(
    500,
    "InternalError",
    `Internal error occurred: ${message}`,
    { causes: [{ message }] },
    cause === undefined ? undefined : { cause },
  );

export const serviceUnavailable = (message: string): ApiError => new ApiError(503, "ServiceUnavailable", message);

export const timeout = (message: string, retryAfterSeconds: number, causes?: StatusCause[]): ApiError =>
  new ApiError(504, "Timeout", `Timeout: ${message}`, { ...(causes ? { causes } : {}), retryAfterSeconds });

export const serverTimeout = (resource: ResourceName, operation: string, retryAfterSeconds: number): ApiError =>
  new ApiError(
    500,
    "ServerTimeout",
    `The ${operation} operation against ${resourceName(resource)} could not be completed at this time, please try again.`,
    { ...detailsOf(resource, ""), retryAfterSeconds },
  );

/** Something that Kubernetes has and Skiff has not: refused by name, never ignored. */
export const unsupported = (what: string): ApiError =>
  new ApiError(501, "NotImplemented", `${what} is not supported by this server`);

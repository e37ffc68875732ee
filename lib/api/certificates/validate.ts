import { deepEqual, messageOf } from "#base";
import { chainError, checkRequest, textOf } from "#x509";
import {
  duplicateValue,
  type FieldError,
  forbiddenValue,
  invalidValue,
  notSupported,
  requiredValue,
} from "../meta/index.ts";
import type { CertificateSigningRequest } from "./certificate-signing-request.ts";
import { signers, validateSignerName } from "./signers.ts";
import { usages as knownUsages } from "./usages.ts";

type Request = CertificateSigningRequest;

const conditionsField = "status.conditions";
/** Conditions whose status can only be True and that cannot be removed. */
const decisive: readonly string[] = ["Approved", "Denied", "Failed"];
/** Conditions of which a request has at most one. */
const decisions: readonly string[] = ["Approved", "Denied"];
const minimumExpiration = 600;

const conditionsOf = ({ status }: Request) => status?.conditions ?? [];
const typesOf = (request: Request): string[] => conditionsOf(request).map(({ type }) => type);
const usagesOf = ({ spec }: Request) => spec?.usages ?? [];
const certificateOf = ({ status }: Request): string => status?.certificate ?? "";

const hasRepeats = (items: readonly string[]): boolean => new Set(items).size < items.length;

/** Which of what is refused in a new object is accepted, since the stored object already has it. */
interface Tolerated {
  bothDecisions: boolean;
  legacySigner: boolean;
  repeatedConditions: boolean;
  emptyConditions: boolean;
  anyCertificate: boolean;
  repeatedUsages: boolean;
  unknownUsages: boolean;
}

/** Upstream's getValidationOptions. */
function toleratedBy(next: Request, previous: Request | undefined): Tolerated {
  const types = previous ? typesOf(previous) : [];
  const usages = previous ? usagesOf(previous) : [];
  return {
    bothDecisions: decisions.every((type) => types.includes(type)),
    legacySigner: previous?.spec?.signerName === signers.legacyUnknown,
    repeatedConditions: hasRepeats(types),
    emptyConditions: types.includes(""),
    anyCertificate:
      previous !== undefined &&
      (certificateOf(next) === certificateOf(previous) || certificateError(certificateOf(previous)) !== undefined),
    repeatedUsages: hasRepeats(usages),
    unknownUsages: usages.some((usage) => !knownUsages.includes(usage)),
  };
}

/** Upstream's ValidateCertificateSigningRequestCreate, without the metadata. */
export const validateNew = (request: Request): FieldError[] => validate(request, toleratedBy(request, undefined));

/** Upstream's ValidateCertificateSigningRequestUpdate. */
export const validateUpdate = (next: Request, previous: Request): FieldError[] => validateNext(next, previous, {});

/** Upstream's ValidateCertificateSigningRequestStatusUpdate. */
export const validateStatus = (next: Request, previous: Request): FieldError[] =>
  validateNext(next, previous, { setsCertificate: true });

/** Upstream's ValidateCertificateSigningRequestApprovalUpdate. */
export const validateApproval = (next: Request, previous: Request): FieldError[] =>
  validateNext(next, previous, { decides: true });

function validate(request: Request, tolerated: Tolerated): FieldError[] {
  const { request: pem = "", signerName = "", expirationSeconds } = request.spec ?? {};
  const errors: FieldError[] = [];
  const why = errorOf(() => checkRequest(textOf(pem)));
  if (why !== undefined) errors.push(invalidValue("spec.request", pem, why));
  errors.push(...validateUsages(usagesOf(request), tolerated));
  if (!tolerated.legacySigner && signerName === signers.legacyUnknown) {
    const refusal = "the legacy signerName is not allowed via this API version";
    errors.push(invalidValue("spec.signerName", signerName, refusal));
  } else errors.push(...validateSignerName("spec.signerName", signerName));
  if (expirationSeconds !== undefined && expirationSeconds < minimumExpiration) {
    const refusal = "may not specify a duration less than 600 seconds (10 minutes)";
    errors.push(invalidValue("spec.expirationSeconds", expirationSeconds, refusal));
  }
  errors.push(...validateConditions(request, tolerated));
  const malformed = tolerated.anyCertificate ? undefined : certificateError(certificateOf(request));
  if (malformed !== undefined) errors.push(invalidValue("status.certificate", "<certificate data>", malformed));
  return errors;
}

function validateUsages(usages: readonly string[], tolerated: Tolerated): FieldError[] {
  if (usages.length === 0) return [requiredValue("spec.usages")];
  const unknown = usages.flatMap((usage, at) =>
    tolerated.unknownUsages || knownUsages.includes(usage)
      ? []
      : [notSupported(`spec.usages[${at}]`, usage, knownUsages)],
  );
  const repeated = usages.flatMap((usage, at) =>
    tolerated.repeatedUsages || usages.indexOf(usage) === at ? [] : [duplicateValue(`spec.usages[${at}]`, usage)],
  );
  return [...unknown, ...repeated];
}

function validateConditions(request: Request, tolerated: Tolerated): FieldError[] {
  const types = typesOf(request);
  const errors = conditionsOf(request).flatMap(({ type, status }, at) => {
    const field = `${conditionsField}[${at}]`;
    const allowed = decisive.includes(type) ? ["True"] : ["False", "True", "Unknown"];
    const found: FieldError[] = type === "" && !tolerated.emptyConditions ? [requiredValue(`${field}.type`)] : [];
    if (status === "") found.push(requiredValue(`${field}.status`));
    else if (!allowed.includes(status)) found.push(notSupported(`${field}.status`, status, allowed));
    if (!tolerated.repeatedConditions && types.indexOf(type) < at) found.push(duplicateValue(`${field}.type`, type));
    return found;
  });
  if (!tolerated.bothDecisions && decisions.every((type) => types.includes(type))) {
    const members = decisions.map((type) => `conditions[{"type": "${type}"}]`);
    const refusal = `must specify at most one of: ${members.map((member) => `\`${member}\``).join(", ")}`;
    errors.push(invalidValue(conditionsField, `{${members.join(", ")}}`, refusal));
  }
  return errors;
}

/** Upstream's validateCertificateSigningRequestUpdate, without the metadata. */
function validateNext(
  next: Request,
  previous: Request,
  { decides = false, setsCertificate = false }: { decides?: boolean; setsCertificate?: boolean },
): FieldError[] {
  const errors = validate(next, toleratedBy(next, previous));
  for (const type of decisive) {
    const [after, before] = [next, previous].map((request) => conditionsOf(request).filter((one) => one.type === type));
    const refuse = (what: string) => errors.push(forbiddenValue(conditionsField, `updates may not ${what} "${type}"`));
    if (after!.length < before!.length) refuse("remove a condition of type");
    else if (decides || type === "Failed") continue;
    else if (after!.length > before!.length) refuse("add a condition of type");
    else if (!deepEqual(after, before)) refuse("modify a condition of type");
  }
  if (certificateOf(next) === certificateOf(previous)) return errors;
  const refused = (why: string) => [...errors, forbiddenValue("status.certificate", why)];
  if (!setsCertificate) return refused("updates may not set certificate content");
  return certificateOf(previous) === "" ? errors : refused("updates may not modify existing certificate content");
}

const certificateError = (data: string): string | undefined => (data === "" ? undefined : chainError(textOf(data)));

function errorOf(work: () => void): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

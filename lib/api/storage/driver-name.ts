import { dnsSubdomainErrors, type FieldError, invalidAll, requiredValue, tooLong } from "../meta/index.ts";

/** The errors of a CSI driver's name in a field (upstream's ValidateCSIDriverName). */
export function driverNameErrors(field: string, name = ""): FieldError[] {
  if (name === "") return [requiredValue(field)];
  return [
    ...(name.length > 63 ? [tooLong(field, 63)] : []),
    ...invalidAll(field, name, dnsSubdomainErrors(name.toLowerCase())),
  ];
}

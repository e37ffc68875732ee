import { expect, test } from "vitest";
import { validateObjectMeta } from "#api/meta";

test("reports each fault of metadata.managedFields", () => {
  const metadata = {
    name: "web",
    namespace: "default",
    managedFields: [
      { operation: "X", manager: "m", fieldsType: "Y" },
      { operation: "Apply", manager: "a".repeat(129), subresource: "s".repeat(257) },
    ],
  };
  // ValidateObjectMeta and ValidateManagedFields of apimachinery v0.37.2.
  expect(validateObjectMeta({ scope: "Namespaced" } as never, metadata)).toEqual([
    {
      field: "metadata.managedFields[0].operation",
      reason: "FieldValueInvalid",
      message: 'Invalid value: "X": must be `Apply` or `Update`',
    },
    {
      field: "metadata.managedFields[0].fieldsType",
      reason: "FieldValueInvalid",
      message: 'Invalid value: "Y": must be `FieldsV1`',
    },
    {
      field: "metadata.managedFields[1].manager",
      reason: "FieldValueTooLong",
      message: "Too long: may not be more than 128 bytes",
    },
    {
      field: "metadata.managedFields[1].subresource",
      reason: "FieldValueTooLong",
      message: "Too long: may not be more than 256 bytes",
    },
  ]);
});

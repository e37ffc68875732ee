import {
  type FieldError,
  invalidValue,
  labelKeyErrors,
  labelValueErrors,
  notSupported,
  requiredValue,
} from "../meta/index.ts";
import type { Taint } from "./topology.ts";

const effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/** The effect of a taint or toleration. */
export function validateTaintEffect(effect: string, field: string, mayBeEmpty: boolean): FieldError[] {
  if (effect === "" && !mayBeEmpty) return [requiredValue(field)];
  return effects.includes(effect) ? [] : [notSupported(field, effect, effects)];
}

/** A node's taints: well formed, and each key once for each effect. */
export function validateTaints(taints: readonly Taint[], path: string): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  for (const [index, taint] of taints.entries()) {
    const at = `${path}[${index}]`;
    const { key = "", value = "", effect = "" } = taint;
    for (const message of labelKeyErrors(key)) errors.push(invalidValue(`${at}.key`, key, message));
    const wrong = labelValueErrors(value);
    if (wrong.length > 0) errors.push(invalidValue(`${at}.value`, value, wrong.join(";")));
    errors.push(...validateTaintEffect(effect, `${at}.effect`, false));
    const pair = `${effect}/${key}`;
    if (seen.has(pair)) {
      const shown = JSON.stringify({ key, ...(value === "" ? {} : { value }), effect });
      errors.push({
        reason: "FieldValueDuplicate",
        field: at,
        message: `Duplicate value: ${shown}: taints must be unique by key and effect pair`,
      });
    }
    seen.add(pair);
  }
  return errors;
}

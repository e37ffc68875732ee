import type * as z from "zod";
import {
  ageOf,
  defineKind,
  dnsSubdomainErrors,
  type FieldError,
  int32,
  invalidValue,
  labelKeyErrors,
  message,
  metadataField,
  microTime,
  optional,
  required,
  requiredValue,
  string,
  time,
} from "../meta/index.ts";
import { ObjectReference } from "./reference.ts";

export const EventSource = message("io.k8s.api.core.v1.EventSource", () => ({
  component: optional(1, string, "The program that reported the event."),
  host: optional(2, string, "The node on which it ran."),
}));
export type EventSource = z.infer<typeof EventSource>;

export const EventSeries = message("io.k8s.api.core.v1.EventSeries", () => ({
  count: optional(1, int32, "How often the event has happened in the series so far."),
  lastObservedTime: optional(2, microTime, "When it last happened.", { printed: true }),
}));
export type EventSeries = z.infer<typeof EventSeries>;

export const Event = message("io.k8s.api.core.v1.Event", () => ({
  metadata: metadataField(),
  involvedObject: required(2, ObjectReference, "The object that the event is about."),
  reason: optional(3, string, "Machine-readable reason, in CamelCase."),
  message: optional(4, string, "Human-readable message."),
  source: optional(5, EventSource, "The component that reported it.", { printed: true }),
  firstTimestamp: optional(6, time, "When it first happened.", { printed: true }),
  lastTimestamp: optional(7, time, "When it last happened.", { printed: true }),
  count: optional(8, int32, "How often it has happened."),
  type: optional(9, string, "Normal or Warning."),
  eventTime: optional(10, microTime, "When it first happened, to the microsecond.", { printed: true }),
  series: optional(11, EventSeries, "Data on repetitions; absent for a single event."),
  action: optional(12, string, "What was done or failed, as one word."),
  related: optional(13, ObjectReference, "A second object that the event concerns."),
  reportingComponent: optional(14, string, "The controller that reported it, such as `kubernetes.io/kubelet`.", {
    printed: true,
  }),
  reportingInstance: optional(15, string, "Which instance of the controller reported it.", {
    printed: true,
  }),
}));
export type Event = z.infer<typeof Event>;

export const events = defineKind<Event>({
  group: "",
  version: "v1",
  kind: "Event",
  plural: "events",
  singular: "event",
  shortNames: ["ev"],
  scope: "Namespaced",
  schema: Event,
  createOnUpdate: true,
  lifetime: 3_600_000,
  shards: 4,
  defaults(object) {
    object.involvedObject ??= {};
  },
  validate: (object) => validateEvent(object, "reportingComponent"),
  fields: {
    "involvedObject.kind": ({ involvedObject }) => involvedObject.kind ?? "",
    "involvedObject.namespace": ({ involvedObject }) => involvedObject.namespace ?? "",
    "involvedObject.name": ({ involvedObject }) => involvedObject.name ?? "",
    "involvedObject.uid": ({ involvedObject }) => involvedObject.uid ?? "",
    "involvedObject.apiVersion": ({ involvedObject }) => involvedObject.apiVersion ?? "",
    "involvedObject.resourceVersion": ({ involvedObject }) => involvedObject.resourceVersion ?? "",
    "involvedObject.fieldPath": ({ involvedObject }) => involvedObject.fieldPath ?? "",
    reason: ({ reason }) => reason ?? "",
    reportingComponent: ({ reportingComponent }) => reportingComponent ?? "",
    source: ({ source, reportingComponent }) => source?.component || reportingComponent || "",
    type: ({ type }) => type ?? "",
  },
  columns: [
    { name: "Last Seen", type: "string", doc: "How long ago it last happened.", value: lastSeen },
    { name: "Type", type: "string", doc: "Normal or Warning.", value: ({ type }) => type ?? "" },
    { name: "Reason", type: "string", doc: "Machine-readable reason.", value: ({ reason }) => reason ?? "" },
    {
      name: "Object",
      type: "string",
      doc: "The object that the event is about.",
      value({ involvedObject: { kind = "", name } }) {
        return name ? `${kind.toLowerCase()}/${name}` : kind.toLowerCase();
      },
    },
    {
      name: "Subobject",
      type: "string",
      priority: 1,
      doc: "Field path within the object.",
      value: ({ involvedObject }) => involvedObject.fieldPath ?? "",
    },
    { name: "Source", type: "string", priority: 1, doc: "The component that reported it.", value: sourceText },
    { name: "Message", type: "string", doc: "What happened.", value: ({ message }) => (message ?? "").trim() },
    { name: "First Seen", type: "string", priority: 1, doc: "How long ago it first happened.", value: firstSeen },
    {
      name: "Count",
      type: "string",
      priority: 1,
      doc: "How often it has happened.",
      value: ({ series, count }) => (series ? (series.count ?? 0) : count || 1),
    },
    {
      name: "Name",
      type: "string",
      format: "name",
      priority: 1,
      doc: "Name of the event.",
      value: ({ metadata }) => metadata.name ?? "",
    },
  ],
});

function firstSeen({ firstTimestamp, eventTime }: Event, now: number): string {
  return ageOf(firstTimestamp ?? eventTime, now);
}

function lastSeen(object: Event, now: number): string {
  if (object.series) return ageOf(object.series.lastObservedTime, now);
  return object.lastTimestamp ? ageOf(object.lastTimestamp, now) : firstSeen(object, now);
}

function sourceText({ source, reportingComponent, reportingInstance }: Event): string {
  const component = source?.component || reportingComponent || "";
  const instance = source?.host || reportingInstance || "";
  return instance === "" ? component : `${component}, ${instance}`;
}

/** The rules that both groups' events share. `controllerField` is what the group calls the reporting controller. */
export function validateEvent(object: Event, controllerField: string): FieldError[] {
  const { namespace = "" } = object.metadata;
  const { namespace: involved = "" } = object.involvedObject ?? {};
  const errors: FieldError[] = [];
  const isLegacy = !object.eventTime;
  const elsewhere = isLegacy ? ["", "default"] : ["default", "kube-system"];
  const fits = involved === "" ? elsewhere.includes(namespace) : !isLegacy || namespace === involved;
  if (!fits) errors.push(invalidValue("involvedObject.namespace", involved, "does not match event.namespace"));
  if (!isLegacy) errors.push(...validateDetails(object, controllerField));
  for (const message of dnsSubdomainErrors(namespace)) errors.push(invalidValue("namespace", namespace, message));
  return errors;
}

/** What an event with eventTime must have. */
function validateDetails(object: Event, controllerField: string): FieldError[] {
  const { reportingComponent = "", reportingInstance = "", action = "", reason = "", message = "" } = object;
  const errors: FieldError[] = [];
  if (!reportingComponent) errors.push(requiredValue(controllerField));
  for (const wrong of labelKeyErrors(reportingComponent)) {
    errors.push(invalidValue(controllerField, reportingComponent, wrong));
  }
  for (const [field, value] of Object.entries({ reportingInstance, action, reason })) {
    if (!value) errors.push(requiredValue(field));
    errors.push(...tooManyCharacters(field, value, 128));
  }
  return [...errors, ...tooManyCharacters("message", message, 1024)];
}

const tooManyCharacters = (field: string, value: string, most: number): FieldError[] =>
  new TextEncoder().encode(value).length > most ? [invalidValue(field, "", `can have at most ${most} characters`)] : [];

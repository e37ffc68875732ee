import type * as z from "zod";
import { deepEqual } from "#base";
import { type Event, EventSource, events, validateEvent } from "../core/event.ts";
import { ObjectReference } from "../core/reference.ts";
import {
  defineKind,
  type FieldError,
  int32,
  invalidValue,
  message,
  metadataField,
  microTime,
  optional,
  required,
  requiredValue,
  string,
  time,
  validateImmutable,
} from "../meta/index.ts";

export const EventsEventSeries = message("io.k8s.api.events.v1.EventSeries", () => ({
  count: required(1, int32, "How often the event has happened in the series so far."),
  lastObservedTime: required(2, microTime, "When it last happened."),
}));
export type EventsEventSeries = z.infer<typeof EventsEventSeries>;

export const EventsEvent = message("io.k8s.api.events.v1.Event", () => ({
  metadata: metadataField(),
  eventTime: required(2, microTime, "When it first happened, to the microsecond."),
  series: optional(3, EventsEventSeries, "Data on repetitions; absent for a single event."),
  reportingController: optional(4, string, "The controller that reported it, such as `kubernetes.io/kubelet`."),
  reportingInstance: optional(5, string, "Which instance of the controller reported it."),
  action: optional(6, string, "What was done or failed, as one word."),
  reason: optional(7, string, "Machine-readable reason, in CamelCase."),
  regarding: optional(8, ObjectReference, "The object that the event is about.", { printed: true }),
  related: optional(9, ObjectReference, "A second object that the event concerns."),
  note: optional(10, string, "Human-readable message."),
  type: optional(11, string, "Normal or Warning."),
  deprecatedSource: optional(12, EventSource, "`source` of the core Event.", { printed: true }),
  deprecatedFirstTimestamp: optional(13, time, "`firstTimestamp` of the core Event.", { printed: true }),
  deprecatedLastTimestamp: optional(14, time, "`lastTimestamp` of the core Event.", { printed: true }),
  deprecatedCount: optional(15, int32, "`count` of the core Event."),
}));
export type EventsEvent = z.infer<typeof EventsEvent>;

/** The newer form of events. They are stored in the core group's form, so both groups show the same events. */
export const eventsEvents = defineKind<EventsEvent>({
  group: "events.k8s.io",
  version: "v1",
  kind: "Event",
  plural: "events",
  singular: "event",
  shortNames: ["ev"],
  scope: "Namespaced",
  schema: EventsEvent,
  storage: "core/events",
  stored: {
    as: { group: "", version: "v1", kind: "Event" },
    to: (object) => toCore(object),
    from: (object) => fromCore(object as Event),
  },
  createOnUpdate: true,
  lifetime: 3_600_000,
  validate: (object) => validateEvent(toCore(object), "reportingController"),
  validateCreate: validateNew,
  validateUpdate(next, previous) {
    return validateChange(toCore(next), toCore(previous));
  },
  fields: Object.fromEntries(
    Object.entries(events.fields ?? {}).map(([name, read]) => [name, (object: EventsEvent) => read(toCore(object))]),
  ),
  fieldAliases: {
    "regarding.kind": "involvedObject.kind",
    "regarding.namespace": "involvedObject.namespace",
    "regarding.name": "involvedObject.name",
    "regarding.uid": "involvedObject.uid",
    "regarding.apiVersion": "involvedObject.apiVersion",
    "regarding.resourceVersion": "involvedObject.resourceVersion",
    "regarding.fieldPath": "involvedObject.fieldPath",
    reason: "reason",
    reportingController: "reportingComponent",
    type: "type",
  },
  columns: (events.columns ?? []).map((column) => ({
    ...column,
    value: (object: EventsEvent, now: number) => column.value(toCore(object), now),
  })),
});

/** This group's name for each field that the core group calls otherwise. */
const renamed = [
  ["regarding", "involvedObject"],
  ["note", "message"],
  ["reportingController", "reportingComponent"],
  ["deprecatedSource", "source"],
  ["deprecatedFirstTimestamp", "firstTimestamp"],
  ["deprecatedLastTimestamp", "lastTimestamp"],
  ["deprecatedCount", "count"],
] as const;

function rename(object: object, from: 0 | 1): Record<string, unknown> {
  const made: Record<string, unknown> = { ...object };
  for (const pair of renamed) {
    const name = pair[from];
    if (!(name in made)) continue;
    made[pair[from === 0 ? 1 : 0]] = made[name];
    delete made[name];
  }
  return made;
}

const toCore = (object: EventsEvent): Event => ({ involvedObject: {}, ...rename(object, 0) }) as unknown as Event;
const fromCore = (object: Event): EventsEvent => rename(object, 1) as unknown as EventsEvent;

/** What a new event of this group must have and may not have. */
function validateNew(object: EventsEvent): FieldError[] {
  const errors = validateSeries(object.series);
  if (!object.eventTime) errors.push(requiredValue("eventTime"));
  if (object.type !== "Normal" && object.type !== "Warning") {
    errors.push(invalidValue("type", "", `has invalid value: ${object.type ?? ""}`));
  }
  if (object.deprecatedFirstTimestamp) errors.push(invalidValue("firstTimestamp", "", "needs to be unset"));
  if (object.deprecatedLastTimestamp) errors.push(invalidValue("lastTimestamp", "", "needs to be unset"));
  if (object.deprecatedCount) errors.push(invalidValue("count", "", "needs to be unset"));
  const { component, host } = object.deprecatedSource ?? {};
  if (component || host) errors.push(invalidValue("source", "", "needs to be unset"));
  return errors;
}

function validateSeries(series: EventsEvent["series"]): FieldError[] {
  if (!series) return [];
  const errors: FieldError[] = [];
  if ((series.count ?? 0) < 2) errors.push(invalidValue("series.count", "", "should be at least 2"));
  if (!series.lastObservedTime) errors.push(requiredValue("series.lastObservedTime"));
  return errors;
}

/** What a field that is left out is equal to. */
const zeros: Record<string, unknown> = {
  reason: "",
  message: "",
  type: "",
  action: "",
  reportingComponent: "",
  reportingInstance: "",
  source: {},
  count: 0,
};

/** Only the series of an event ever changes. */
function validateChange(next: Event, previous: Event): FieldError[] {
  const errors = deepEqual(next.series, previous.series) ? [] : validateSeries(next.series as EventsEvent["series"]);
  const fields = {
    involvedObject: "involvedObject",
    reason: "reason",
    message: "message",
    source: "source",
    firstTimestamp: "firstTimestamp",
    lastTimestamp: "lastTimestamp",
    count: "count",
    type: "type",
    eventTime: "eventTime",
    action: "action",
    related: "related",
    reportingComponent: "reportingController",
    reportingInstance: "reportingInstance",
  } as const;
  for (const [key, field] of Object.entries(fields)) {
    const absent = zeros[key];
    errors.push(...validateImmutable(next[key as "reason"] ?? absent, previous[key as "reason"] ?? absent, field));
  }
  return errors;
}

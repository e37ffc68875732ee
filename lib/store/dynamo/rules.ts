/**
 * The rules of the protocol, each of which can be disabled. Only the model checker disables one, to show that it is
 * noticed; `dynamoStore` always passes `allRules`.
 */
export interface Rules {
  /** A delete leaves a tombstone with its revision, and a create needs a lower one or none. */
  tombstones: boolean;
  /** The stored revision must be lower than the ticket. */
  belowTicket: boolean;
  /** Requests carry a client token: the same for the same request, a new one for another. */
  token: boolean;
  /** A refused writer that finds its own write in its slot has succeeded. */
  slotFirst: boolean;
  /** A writer that gives up a revision fills its slot. */
  voidGivenUp: boolean;
  /** After an unknown outcome the slot decides. */
  slotDecides: boolean;
  /** An old slot is not used as evidence. */
  slotsExpire: boolean;
  /** A conflict or a throttled request is not a refusal. */
  conflictIsNoAnswer: boolean;
  /** A ticket older than ten seconds is dropped. */
  ticketLife: boolean;
  /** A reader stops at a hole. */
  stopAtHole: boolean;
  /** Lists and caches end at the head, not at the last change that they see. */
  toHead: boolean;
  /** A list replays the log from some time before it began. */
  overlap: boolean;
  /** The floor is read after the slots. */
  floorLast: boolean;
  /** A missing slot in a part of the log that may have expired is no hole. */
  oldHoles: boolean;
  /** Slots older than half their lifetime are not read. */
  halfLife: boolean;
  /** A change carries the state before it where the log may lose that earlier. */
  carryPrevious: boolean;
  /** The floor never passes a revision that is not settled. */
  floorOverSettled: boolean;
  /** A shard count holds from a revision on, not for the revisions before it. */
  shardsHoldFrom: boolean;
}

export const allRules: Rules = {
  tombstones: true,
  belowTicket: true,
  token: true,
  slotFirst: true,
  voidGivenUp: true,
  slotDecides: true,
  slotsExpire: true,
  conflictIsNoAnswer: true,
  ticketLife: true,
  stopAtHole: true,
  toHead: true,
  overlap: true,
  floorLast: true,
  oldHoles: true,
  halfLife: true,
  carryPrevious: true,
  floorOverSettled: true,
  shardsHoldFrom: true,
};

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;

/** The protocol's times, in milliseconds. */
export const times = {
  /** A hole that is older than this is filled by the reader or writer that finds it. */
  fillAfter: second,
  /** How long a ticket is retried when other transactions conflict with it. */
  ticketTries: 700,
  /** A ticket older than this is never sent. */
  ticketLife: 10 * second,
  /** The counter's time is rounded up to this. */
  drawGrid: 10 * second,
  /** What a list replays before its own start. */
  overlap: 10 * second,
  /** No request arrives this late: its signature is refused long before. */
  latest: 10 * minute,
  /** How long a change is kept at least. */
  life: 24 * hour,
  /** From this age on a change is not read: it may expire at any time after its lifetime. */
  readable: 12 * hour,
  /** A state that was written longer before its change than this is carried by the change. */
  carried: 11 * hour,
  /** The floor passes only changes older than this. */
  kept: hour,
  /** The age of `settledThrough` at which a writer renews it. */
  settledRenewal: 2 * minute,
} as const;

/** How many tickets a write draws before it is refused. */
export const mostTickets = 5;

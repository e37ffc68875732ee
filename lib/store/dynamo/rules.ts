/**
 * The protocol's rules, each of which can be left out. Only the model checker leaves one out, to show that it would
 * notice; the room's door always passes `allRules`.
 */
export interface Rules {
  /** A delete leaves a tombstone with its revision, and a create needs a lower one or none. */
  tombstones: boolean;
  /** The stored revision must be lower than the ticket. */
  belowTicket: boolean;
  /** Requests carry a client token: the same for the same request, a new one for another. */
  token: boolean;
  /** A writer that was refused and finds its own write in its slot has succeeded. */
  slotFirst: boolean;
  /** A writer who gives a revision up fills its slot. */
  voidGivenUp: boolean;
  /** After an unknown outcome the slot decides. */
  slotDecides: boolean;
  /** What an old slot says is not believed. */
  slotsExpire: boolean;
  /** A conflict or a throttled request is no answer. */
  conflictIsNoAnswer: boolean;
  /** A ticket older than ten seconds is dropped. */
  ticketLife: boolean;
  /** A reader stops at a hole. */
  stopAtHole: boolean;
  /** Lists and caches end at the head, not at what they happen to see. */
  toHead: boolean;
  /** A list replays the log from some time before it began. */
  overlap: boolean;
  /** The floor is read after the slots. */
  floorLast: boolean;
  /** A hole that lies in a part of the log which may have expired is no hole. */
  oldHoles: boolean;
  /** What is older than half its life is not read. */
  halfLife: boolean;
  /** A change carries the state before it where the log may not have it any more. */
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
  /** A hole that is older than this is filled by whoever meets it. */
  patience: second,
  /** How long a ticket is tried again when other transactions are in its way. */
  ticketTries: 700,
  /** A ticket older than this is never sent. */
  ticketLife: 10 * second,
  /** The counter's time is rounded up to this. */
  drawGrid: 10 * second,
  /** What a list replays before its own start. */
  overlap: 10 * second,
  /** No request arrives so late: a signature is refused long before. */
  latest: 10 * minute,
  /** How long a change is kept at least. */
  life: 24 * hour,
  /** From this age on a change is no longer read: it may go at any time after its life. */
  readable: 12 * hour,
  /** A state that was written longer before its change than this is carried by the change. */
  carried: 11 * hour,
  /** What the floor passes is older than this. */
  kept: hour,
  /** How old the mark may become before a writer renews it. */
  mark: 2 * minute,
} as const;

/** How many tickets a write takes before it is refused. */
export const mostTickets = 5;

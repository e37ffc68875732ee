import type { AttributeValue } from "@aws-sdk/client-dynamodb";

/*
 * All rows of the `objects` table that are not objects, as console readers need them. The store's own rows (`type#`,
 * `part#` and the objects' partitions) are described in lib/store/dynamo.
 *
 * | family       | written by                | partition (p)  | sort key (k)                   | expires (e)         |
 * |--------------|---------------------------|----------------|--------------------------------|---------------------|
 * | connection   | functions/link            | `connection`   | the agent's connection id      | 2 h after its open  |
 * | heartbeat    | functions/link            | `heartbeat`    | the node's name                | never               |
 * | ticket       | functions/api             | `ticket`       | the ticket, 43 characters      | after a minute      |
 * | relay        | functions/link            | `relay`        | the client's connection id     | 2 h after its begin |
 * | fence        | functions/schedule        | `fence`        | `scheduler`                    | never               |
 * | watch-places | functions/api             | `watch-places` | `leases`                       | never               |
 * | due          | lib/reconcile/sqs         | `due`          | due ms, 15 digits, # and hash  | deleted by tick     |
 * | restore      | lib/cli/restore           | `restore`      | the table's id                 | never               |
 *
 * Every family has p, k and, where it expires, e: seconds since the epoch, the table's TTL attribute. DynamoDB deletes
 * expired rows late, so drivers compare e with the clock. The other attributes are named below, except `due`, whose m
 * is the message that wakes the key, and `restore`, whose attributes are those of lib/cli/restore/tables.ts.
 */

/** The row families whose drivers are in this folder: partitions, and the names of attributes. */
export const rows = {
  connection: {
    partition: "connection",
    attributes: {
      /** S: the name of the agent's node. */
      node: "n",
      /** S: the watches of the agent, in JSON. Absent until it has sent them. */
      watches: "w",
      expires: "e",
    },
  },
  heartbeat: {
    partition: "heartbeat",
    attributes: {
      /** N: when the node was last heard, in milliseconds since the epoch. */
      time: "t",
    },
  },
  ticket: {
    partition: "ticket",
    attributes: {
      /** S: the name of the node. */
      node: "n",
      /** S: the id of the agent's connection. */
      agent: "a",
      /** S: the authorized request, as a path. */
      path: "x",
      /** S: the ARN of the principal that may use the ticket. */
      principal: "u",
      expires: "e",
    },
  },
  relay: {
    partition: "relay",
    attributes: {
      /** S: the name of the node. */
      node: "n",
      /** S: the id of the agent's connection. */
      agent: "a",
      /** S: the authorized request, as a path. Absent once the agent has reconnected: it must not start it again. */
      path: "x",
      expires: "e",
    },
  },
  fence: {
    partition: "fence",
    attributes: {
      /** N: the number of scheduler runs so far. Only the latest run may bind pods. */
      token: "n",
    },
  },
  watchPlaces: {
    partition: "watch-places",
    attributes: {
      /** M: the end of each lease in seconds since the epoch, by the lease's id. */
      leases: "l",
    },
  },
} as const;

export type Row = Record<string, AttributeValue>;

/** The key of a row. */
export const keyOf = (family: keyof typeof rows, sortKey: string): Row => ({
  p: { S: rows[family].partition },
  k: { S: sortKey },
});

/** The TTL of a row, `seconds` after `now` (milliseconds since the epoch). */
export const expiresAfter = (now: number, seconds: number): AttributeValue => ({
  N: String(Math.ceil(now / 1000) + seconds),
});

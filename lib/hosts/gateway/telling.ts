import { request } from "node:https";
import type { Clock, Log, Timer } from "#base";
import type { Client } from "#client";
import { type Place, show, shownToNodes, showToNodes } from "./certificate.ts";

export interface TellingOptions {
  client: Client;
  /** Where people find this gateway. */
  forPeople: Place;
  /** Where nodes dial this task; undefined where its own address is not known. */
  forNodes: Place | undefined;
  /** Whether a gateway answers there. */
  answers?: (place: Place) => Promise<boolean>;
  clock: Clock;
  log: Log;
}

/** From one look to the next, and from a try that failed to the next, in milliseconds. */
const pause = 60_000;
/** In how many looks another gateway is found silent before its place is taken. */
const silence = 3;
const patience = 3000;

/**
 * Writes down where the gateway is, and keeps it so: of a deployment that is rolled back, the task that was new has
 * written down its address and is gone, and only the old one can tell nodes so. Resolves after the first try.
 */
export async function keepTold(options: TellingOptions): Promise<{ stop(): void }> {
  const { client, forPeople, forNodes, answers = answersAt, clock, log } = options;
  let timer: Timer | undefined;
  let isStopped = false;
  let isTold = false;
  let silent = 0;
  const tell = async (): Promise<void> => {
    await show(client, forPeople);
    if (forNodes) await showToNodes(client, forNodes);
    isTold = true;
  };
  const look = async (place: Place): Promise<void> => {
    const there = await shownToNodes(client);
    silent = there && (there.server === place.server || (await answers(there))) ? 0 : silent + 1;
    if (there && silent < silence) return;
    await showToNodes(client, place);
    silent = 0;
    log.warn("nodes are told where this gateway is: the one they knew does not answer", { known: there?.server });
  };
  const next = async (): Promise<void> => {
    try {
      if (!isTold) await tell();
      else if (forNodes) await look(forNodes);
    } catch (error) {
      // It serves all the same, and those who know the address have what they need.
      log.warn("the gateway's address could not be written down or looked at", { error });
    }
    if (!isStopped) timer = clock.timer(pause, () => void next());
  };
  await next();
  return {
    stop() {
      isStopped = true;
      timer?.cancel();
    },
  };
}

/** Whether anything answers there with a certificate of the authority that is named with it. */
export const answersAt = ({ server, ca }: Place): Promise<boolean> =>
  new Promise<boolean>((done) => {
    const asked = request(`${server}/livez`, { ca, agent: false, signal: AbortSignal.timeout(patience) }, (answer) => {
      answer.resume();
      done(true);
    });
    asked.on("error", () => done(false)).end();
    // What is no address, or no certificate, is thrown at once.
  }).catch(() => false);

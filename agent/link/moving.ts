import type { Link } from "./dial.ts";

/** Where a server is dialled. */
export interface Place {
  /** Such as `https://10.0.1.5:6443`. */
  server: string;
  /** The authority of its certificate, in PEM. */
  ca: string;
}

/** A link to a server that comes, moves and goes. */
export interface MovingLink {
  /** It is here from now on; undefined: nowhere. */
  move(place: Place | undefined): void;
  stop(): Promise<void>;
}

/**
 * Keeps a link to where the server is. Where it was is not dialled again, but a link that is up there lives as long as
 * its server: what clients run over it ends with that one, and not because another has come.
 */
export function movingLink(dial: (place: Place) => Link): MovingLink {
  /** Those that are up or dialled, of which one at the most dials again. */
  const links = new Set<Link>();
  let current: { place: Place; link: Link } | undefined;
  return {
    move(place) {
      const before = current;
      if (before?.place.server === place?.server && before?.place.ca === place?.ca) return;
      current = place && { place, link: dial(place) };
      if (current) links.add(current.link);
      const older = before?.link;
      void older?.retire().then(() => links.delete(older));
    },
    async stop() {
      await Promise.all([...links].map((link) => link.stop()));
    },
  };
}

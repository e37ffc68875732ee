import type { Link } from "./dial.ts";

export interface LinkServer {
  /** Such as `https://10.0.1.5:6443`. */
  server: string;
  /** The CA of its certificate, in PEM. */
  ca: string;
}

/**
 * A link to a server whose address may change. After a move the former address is not dialled again, but a link that
 * is up there stays until its server ends it: the requests that run over it are not ended by the move.
 */
export class MovingLink {
  readonly #dial: (server: LinkServer) => Link;
  /** Links that are up or dialled, of which at most one dials again. */
  readonly #links = new Set<Link>();
  #current: { server: LinkServer; link: Link } | undefined;

  constructor(dial: (server: LinkServer) => Link) {
    this.#dial = dial;
  }

  /** The server's address from now on; undefined: there is no server. */
  move(server: LinkServer | undefined): void {
    const before = this.#current;
    if (before?.server.server === server?.server && before?.server.ca === server?.ca) return;
    this.#current = server && { server, link: this.#dial(server) };
    if (this.#current) this.#links.add(this.#current.link);
    const older = before?.link;
    void older?.retire().then(() => this.#links.delete(older));
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#links].map((link) => link.stop()));
  }
}

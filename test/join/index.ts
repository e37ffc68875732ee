/** A whole control plane behind TLS on the loopback address, which machines can join. */
import { type Certificate, createAuthority, issue, type Subject, signRequest } from "#auth/certificates";
import { newRingText, ringKeys, tokenAuthority } from "#auth/service-account";
import { silentLog, systemClock, systemRandom } from "#base";
import type { Client } from "#client";
import { allowJoining, ControlPlane } from "#controlplane";
import { createLinks, serve } from "#hosts/https";
import { memoryStore } from "#store/memory";

export const blocks = { podCidr: "10.244.0.0/16", serviceCidr: "10.96.0.0/16" };

export interface JoinableCluster {
  server: string;
  /** In PEM. */
  ca: string;
  client: Client;
  /** Issues a certificate: for a server when it has names, for a client otherwise. Valid for a day by default. */
  issue(subject: Subject, more?: { names?: string[]; days?: number }): Promise<Certificate>;
  close(): Promise<void>;
}

export async function openJoinable(): Promise<JoinableCluster> {
  const clock = systemClock;
  const authority = await createAuthority(clock.now());
  const ca = authority.cert;
  const ring = newRingText(0);
  const keys = ringKeys({ read: async () => ring, clock, maxAge: Number.POSITIVE_INFINITY });
  const plane = new ControlPlane({
    store: memoryStore(),
    clock,
    random: systemRandom,
    log: silentLog,
    ca,
    caching: "live",
    bootstrapTokens: true,
    ...blocks,
    sign: (request, options) => signRequest({ authority, request, ...options, now: clock.now() }),
    tokens: (client) => tokenAuthority({ keys, issuer: "https://test", client, clock, random: systemRandom }),
  });
  const issued: JoinableCluster["issue"] = (subject, { days = 1, names } = {}) =>
    issue({ authority, subject, days, now: clock.now(), ...(names ? { names } : {}) });
  const links = createLinks(silentLog, clock);
  const tls = { ...(await issued({ commonName: "kube-apiserver" }, { names: ["127.0.0.1"] })), ca };
  const host = await serve({ server: plane.server, links, log: silentLog, bind: "127.0.0.1", port: 0, tls });
  const server = `https://127.0.0.1:${host.port}`;
  await plane.start();
  await allowJoining(plane.client, { server, ca, ...blocks });
  return {
    server,
    ca,
    client: plane.client,
    issue: issued,
    async close() {
      await host.close();
      await plane.stop();
    },
  };
}

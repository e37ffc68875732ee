import type { Authenticator } from "../port.ts";

/** The user of a client certificate that the transport has verified: common name and organizations, as upstream. */
export const clientCertificates: Authenticator = ({ certificate }) =>
  certificate && certificate.commonName !== ""
    ? { name: certificate.commonName, groups: [...certificate.organizations, "system:authenticated"] }
    : undefined;

import type { Pod, PodSpec, ServiceAccount, Volume } from "#api";
import { nameSuffix, type Random } from "#base";

const prefix = "kube-api-access-";
const mountPath = "/var/run/secrets/kubernetes.io/serviceaccount";
/** An hour, and seven seconds by which upstream tells tokens that it put there itself. */
const tokenSeconds = 3607;

/** Whether pods of an account get its token; what the pod says itself counts more. */
export const wantsToken = (spec: PodSpec, account: ServiceAccount): boolean =>
  spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true;

/** What programs in pods look for to reach the API: a token, the authority's certificate and the namespace. */
const tokenVolume = (name: string): Volume => ({
  name,
  projected: {
    defaultMode: 0o644,
    sources: [
      { serviceAccountToken: { path: "token", expirationSeconds: tokenSeconds } },
      { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
      {
        downwardAPI: {
          items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }],
        },
      },
    ],
  },
});

/**
 * Mounts the account's token in every container that has nothing else there (upstream's mountServiceAccountToken). A
 * volume that is called as if it were ours is taken for it.
 */
export function mountToken(spec: PodSpec, random: Random): void {
  const there = spec.volumes?.find((volume) => volume.name.startsWith(prefix));
  const name = there?.name ?? `${prefix}${nameSuffix(random)}`;
  let isMounted = false;
  for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
    if (container.volumeMounts?.some((mount) => mount.mountPath === mountPath)) continue;
    container.volumeMounts = [...(container.volumeMounts ?? []), { name, readOnly: true, mountPath }];
    isMounted = true;
  }
  if (isMounted && !there) spec.volumes = [...(spec.volumes ?? []), tokenVolume(name)];
}

/** Whether a volume of the pod shows tokens. */
export const projectsToken = ({ spec }: Pod): boolean =>
  (spec?.volumes ?? []).some(({ projected }) => projected?.sources?.some(({ serviceAccountToken: it }) => it));

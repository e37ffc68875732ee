import type { Pod, PodSpec, ServiceAccount, Volume } from "#api";
import { nameSuffix, type Random } from "#base";

const prefix = "kube-api-access-";
const mountPath = "/var/run/secrets/kubernetes.io/serviceaccount";
/** An hour, and seven seconds that mark the tokens that admission has added, as in upstream. */
const tokenSeconds = 3607;

/** Whether pods of an account get its token; the pod's own setting has precedence. */
export const wantsToken = (spec: PodSpec, account: ServiceAccount): boolean =>
  spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true;

/** The files with which programs in pods reach the API: a token, the CA certificate and the namespace. */
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
 * Mounts the account's token in every container that has no other mount at that path (upstream's
 * mountServiceAccountToken). A volume with the prefix of such volumes is used for it.
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

/** Whether a volume of the pod projects tokens. */
export const projectsToken = ({ spec }: Pod): boolean =>
  (spec?.volumes ?? []).some(({ projected }) => projected?.sources?.some(({ serviceAccountToken: it }) => it));

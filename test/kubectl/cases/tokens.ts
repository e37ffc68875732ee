import type { Case } from "../runner.ts";

const recorded = "data/kubectl-1.36-requests";
const upstream = "upstream TokenREST";
const jwt = /^ey[\w-]+\.ey[\w-]+\.[\w-]+\n?$/;

/** Tokens of service accounts as kubectl requests them: a protobuf body, bound objects, durations, audiences. */
export const tokens: readonly Case[] = [
  { run: "create sa robot", source: recorded, out: /serviceaccount\/robot created/ },
  { run: "create token robot", source: recorded, out: jwt },
  { run: "create token robot --duration=20m --audience=vault --audience=other", source: recorded, out: jwt },
  {
    run: "create token robot --duration=5m",
    source: upstream,
    code: 1,
    err: /may not specify a duration less than 10 minutes/,
  },
  { run: "create token missing", source: upstream, code: 1, err: /serviceaccounts "missing" not found/ },
  {
    run: `run bearer --image=busybox --overrides='{"spec":{"serviceAccountName":"robot"}}' --command -- sleep 1000`,
    source: recorded,
    out: /pod\/bearer created/,
  },
  {
    run: "get pod bearer -o 'jsonpath={.spec.volumes[*].name} {.spec.containers[0].volumeMounts[*].mountPath}'",
    source: "upstream ServiceAccount admission",
    out: /^kube-api-access-[a-z0-9]{5} \/var\/run\/secrets\/kubernetes\.io\/serviceaccount$/,
  },
  { run: "create token robot --bound-object-kind=Pod --bound-object-name=bearer", source: recorded, out: jwt },
  {
    run: "create token default --bound-object-kind=Pod --bound-object-name=bearer",
    source: upstream,
    code: 1,
    err: /cannot bind token for serviceaccount "default" to pod running with different serviceaccount name/,
  },
  {
    run: "create token robot --bound-object-kind=Pod --bound-object-name=bearer --bound-object-uid=7",
    source: upstream,
    code: 1,
    err: /the UID in the bound object reference \(7\) does not match the UID in record/,
  },
  { run: "get --raw /openid/v1/jwks", source: "OIDC discovery", global: true, out: /"alg":"RS256"/ },
];

/** The view of a client whose only credential is such a token, bound to the pod `bearer`. */
export const asRobot: readonly Case[] = [
  {
    run: "auth whoami",
    source: "upstream validator",
    out: [
      /Username\s+system:serviceaccount:\S+:robot/,
      /system:serviceaccounts/,
      /authentication\.kubernetes\.io\/credential-id\s+\[JTI=/,
      /authentication\.kubernetes\.io\/pod-name\s+\[bearer\]/,
    ],
  },
  {
    run: "get secrets",
    source: "RBAC",
    code: 1,
    err: /User "system:serviceaccount:\S+:robot" cannot list resource "secrets"/,
  },
];

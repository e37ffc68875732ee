import type { Case } from "../runner.ts";

const docs = "kubernetes.io/docs/reference/kubectl";
const recorded = "data/kubectl-1.36-requests";

/** Commands that reach into a container, over the fake runtime and over containerd alike. `$HOME` is the setting's own. */
export const containers: readonly Case[] = [
  {
    run: "run talker --image=busybox:latest --restart=Never --command -- sh -c 'echo one; echo two; sleep 1000'",
    source: recorded,
    out: /pod\/talker created/,
  },
  { run: "wait pod/talker --for=condition=Ready --timeout=60s", source: recorded, out: /condition met/ },
  { run: "logs talker", source: docs, out: /^one\ntwo\n$/, within: 5 },
  { run: "logs talker --tail=1", source: docs, out: /^two\n$/ },
  { run: "logs talker --timestamps", source: docs, out: /^\d{4}-\d\d-\d\dT\S+Z one$/m },
  { run: "logs talker --since=1h --limit-bytes=3", source: docs, out: /^one$/ },
  { run: "logs talker -f", source: docs, cut: 1500, out: /^one\ntwo\n$/ },
  {
    run: "logs talker -c nothing",
    source: "upstream pod log strategy",
    code: 1,
    err: /container nothing is not valid for pod talker/,
  },
  {
    run: "logs talker --previous",
    source: "kubelet",
    code: 1,
    err: /previous terminated container "talker" in pod "talker" not found/,
  },
  { run: "exec talker -- echo hello", source: docs, within: 5, out: /^hello\n$/ },
  { run: "exec -i talker -- cat", stdin: "through and back\n", source: docs, out: /^through and back\n$/ },
  { run: "exec talker -- sh -c 'exit 3'", source: docs, code: 3, err: /command terminated with exit code 3/ },
  { run: "cp $HOME/editor talker:/tmp/copied", source: recorded },
  { run: "exec talker -- cat /tmp/copied", source: "what was copied", within: 5, out: /^#!\/bin\/sh\n/ },
  { run: "cp talker:/tmp/copied $HOME/back", source: recorded },
  {
    run: "get pod talker -o jsonpath={.status.containerStatuses[0].state.running.startedAt}",
    source: "PodStatus",
    out: /^\d{4}-/,
  },
  { run: "describe pod talker", source: docs, out: [/State:\s+Running/, /Pulled|Pulling/, /Created/, /Started/] },
  { run: "delete pod talker --now", source: docs, out: /pod "talker" deleted/ },
];

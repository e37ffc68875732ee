#!/bin/sh
# ECS brings the agent, and the host runs it: as a transient service of the host's systemd, so that containerd and the
# pods, which the agent starts, belong to the host and outlive every task. The task ends with the service, and the
# service with the task; what the service says is the task's output.
set -eu

from=${SKIFF_IMAGE:-/image}
# A folder of the host, at the same path here.
to=${SKIFF_HOST:-/opt/skiff}
node=${SKIFF_NODE:-/usr/local/bin/node}

on_host() {
  nsenter --target 1 --mount --uts --ipc --net -- "$@"
}
stop() {
  on_host systemctl stop skiff-agent.service || true
}

# By another name first: the old program may still run.
bring() {
  cp "$1" "$to/.new" && mv -f "$to/.new" "$to/$2"
}
bring "$node" node
bring "$from/agent.mjs" agent.mjs
# What a task that was killed has left.
stop
on_host systemctl reset-failed skiff-agent.service 2>/dev/null || true

trap stop TERM INT
on_host systemd-run --unit=skiff-agent --collect --wait --pipe --quiet \
  --property=KillMode=process --property=LimitNOFILE=1048576 --property=OOMScoreAdjust=-999 \
  --setenv=MALLOC_ARENA_MAX=1 --setenv=MALLOC_TRIM_THRESHOLD_=131072 \
  "$to/node" --max-semi-space-size=4 "$to/agent.mjs" "$@" &
service=$!
# A signal ends the wait, not the service. The service may have ended when the trap returns: its status is read again,
# which is 127 if it has been read before.
code=0
wait "$service" || code=$?
while [ "$code" -gt 128 ]; do
  first=$code
  code=0
  wait "$service" || code=$?
  [ "$code" -ne 127 ] || code=$first
  kill -0 "$service" 2>/dev/null || break
done
exit "$code"

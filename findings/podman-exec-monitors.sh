#!/usr/bin/env bash
# Podman 4.3.1 (Debian 12) keeps the monitors of each exec by its Docker-compatible API for five minutes after the command
# has ended: two conmon 2.1.6 processes for each exec, started with `--exit-delay 300`, which stay when the container is
# removed. Docker's engine has no process left then, and `podman exec` has none either. What runs many short execs by the
# API, such as a kubelet with exec probes, collects them: a probe each second has 600 processes after five minutes.
# `exit_command_delay` of the table `engine` in containers.conf(5) is that time; with 1 they end at once.
# Needs Linux, root, runc and Debian 12 with apt (packages are downloaded and unpacked in a temporary folder, none is
# installed) and takes ten seconds. Exits with 1 where the behaviour has changed.
set -euo pipefail
work=$(mktemp -d)
service=''
cleanup() {
  [ -z "$service" ] || kill "$service" 2>/dev/null || true
  pkill -9 -f "conmon.*$work" || true
  awk -v at="$work/" 'index($2, at) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r -n1 umount -l
  rm -rf "$work"
}
trap cleanup EXIT
cd "$work"
apt-get download -q -q podman=4.3.1+ds1-8+deb12u1+b3 conmon=2.1.6+ds1-1 busybox-static=1:1.35.0-4+deb12u1+b1 \
  golang-github-containers-common=0.50.1+ds1-4 libgpgme11=1.18.0-3+b1 libassuan0=2.5.5-5 libslirp0=4.7.0-1 \
  libsubid4=1:4.13+dfsg1-1+deb12u2 >/dev/null 2>&1
for package in *.deb; do dpkg-deb -x "$package" root; done
export HOME=$work LD_LIBRARY_PATH=$work/root/usr/lib/x86_64-linux-gnu

mkdir -p image/bin .config/containers
cp root/bin/busybox image/bin/busybox
for name in sleep true; do ln -s busybox "image/bin/$name"; done
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >.config/containers/policy.json

# Starts the API with an `exit_command_delay`, or without, runs five execs, and prints how many monitors are left.
monitors() {
  local delay=$1 id exec
  printf '[engine]\nconmon_path = ["%s"]\nruntime = "runc"\n%s\n' "$work/root/usr/bin/conmon" "$delay" >containers.conf
  export CONTAINERS_CONF=$work/containers.conf
  local -a podman=(root/usr/bin/podman --root "$work/storage" --runroot "$work/run" --tmpdir "$work/tmp"
    --cgroup-manager cgroupfs --storage-driver vfs --events-backend file)
  tar -C image -c . | "${podman[@]}" import - probe:1 >/dev/null 2>&1
  "${podman[@]}" system service --time 0 "unix://$work/api.sock" &
  service=$!
  for _ in $(seq 50); do [ -S api.sock ] && break || sleep 0.2; done
  api() { curl -sS --unix-socket api.sock -H 'content-type: application/json' "$@"; }
  local limits='[{"Name":"nofile","Soft":1024,"Hard":1024},{"Name":"nproc","Soft":1024,"Hard":1024}]'
  id=$(api http://d/v1.41/containers/create \
    -d "{\"Image\":\"localhost/probe:1\",\"Cmd\":[\"/bin/sleep\",\"100\"],\"HostConfig\":{\"NetworkMode\":\"none\",\"Ulimits\":$limits}}" |
    grep -oE '[0-9a-f]{64}')
  api -X POST "http://d/v1.41/containers/$id/start"
  for _ in 1 2 3 4 5; do
    exec=$(api "http://d/v1.41/containers/$id/exec" -d '{"Cmd":["/bin/true"],"AttachStdout":true}' | grep -oE '[0-9a-f]{64}')
    api "http://d/v1.41/exec/$exec/start" -d '{"Detach":false}' >/dev/null
    api "http://d/v1.41/exec/$exec/json" | grep -q '"Running":false' || echo "an exec has not ended" >&2
  done
  api -X DELETE "http://d/v1.41/containers/$id?force=true" >/dev/null
  sleep 3
  pgrep -fc "conmon.*$work" || true
  kill "$service"
  wait "$service" 2>/dev/null || true
  rm -f api.sock
}
usual=$(monitors '')
pkill -9 -f "conmon.*$work" || true
short=$(monitors 'exit_command_delay = 1')
echo "monitors after five execs and the container's removal: $usual; with exit_command_delay = 1: $short"
[ "$usual" = 10 ] && [ "$short" = 0 ]

#!/usr/bin/env bash
# Some shells start their children without the variables whose names are no identifiers of the shell, such as
# `spring.datasource.url` or `data-1`. dash 0.5.12-2 and busybox-static 1:1.35.0-4+deb12u1+b1 (Debian 12) drop them without
# a message, and mksh 59c-28+deb12u1 does too; bash 5.2.15-2 cannot read them but passes them on.
# Kubernetes and shells meet here: since v1.34 a name of a container's `env` may have every printable ASCII character but
# `=` (RelaxedEnvironmentVariableValidation), and `envFrom` makes variables of all keys of a ConfigMap, where dots are usual.
# An image whose entry point is a `#!/bin/sh` script that ends with `exec program` hands them on with bash as sh, and loses
# them where sh is dash. Kubelet and runtime have set them: `kubectl exec POD -- env` shows them, the program does not.
# What avoids it: an entry point without a shell, or files of a configMap volume, or names with underscores.
# Needs Debian 12 with apt (packages are downloaded and unpacked in a temporary folder, none is installed). Exits with 1
# where the behaviour has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download -q -q dash=0.5.12-2 bash=5.2.15-2+b13 mksh=59c-28+deb12u1 busybox-static=1:1.35.0-4+deb12u1+b1 \
  >/dev/null 2>&1
for package in *.deb; do dpkg-deb -x "$package" root; done

# An entry point as images have it: it hands over to the program, which is env(1) here.
printf 'exec /usr/bin/env\n' >entry.sh
failed=0
expect() {
  local wanted=$1 name=$2 got
  shift 2
  got=$(env -i PLAIN=1 data-1=2 spring.datasource.url=3 "$@" entry.sh |
    grep -oE '^(PLAIN|data-1|spring\.datasource\.url)=' | tr -d = | LC_ALL=C sort | xargs)
  printf '%-8s passes on: %s\n' "$name" "$got"
  [ "$got" = "$wanted" ] || failed=1
}
expect 'PLAIN' dash root/bin/dash
expect 'PLAIN' busybox root/bin/busybox sh
expect 'PLAIN' mksh root/bin/mksh
expect 'PLAIN data-1 spring.datasource.url' bash root/bin/bash
expect 'PLAIN data-1 spring.datasource.url' 'bash sh' root/bin/bash --posix
exit "$failed"

#!/usr/bin/env bash
# npm yaml 2.9.1 refuses a flow collection whose further lines are indented no deeper than the block that holds it
# (BAD_INDENT, "must be sufficiently indented"). libyaml takes it, seen with PyYAML 6.0.2's CSafeLoader, and so does
# sigs.k8s.io/yaml v1.6.0 on go.yaml.in/yaml/v2 v2.4.4, a port of libyaml with which Kubernetes v1.37.2 reads manifests.
# Only a closing bracket may stand level with its key in npm yaml; left of it, it is refused as well.
# Seen: BAD_INDENT for the first three documents below, {"data":{"list":[1,2]}} for all four from the other two.
# YAML 1.2 is on the side of npm yaml: the lines of a flow collection belong to the block and must be indented as such.
# Manifests in the field need not be: a template that pastes JSON of several lines produces just this, and kubectl reads it
# (seen with `kubectl label --local`). A Kubernetes server or client in JavaScript refuses the same file.
# What avoids it: the option `strict: false` does not. The file has to indent the pasted text deeper than its key, or keep
# it on one line.
# Needs npm, Node 20 or later, Python 3 with venv, and Go 1.26. Exits with 1 where the behaviour has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --prefix . yaml@2.9.1 >/dev/null
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check PyYAML==6.0.2
export GOFLAGS=-mod=mod GOTOOLCHAIN=local
go mod init example.com/flow >/dev/null 2>&1
go get sigs.k8s.io/yaml@v1.6.0 go.yaml.in/yaml/v2@v2.4.4 >/dev/null 2>&1

# Each document with what it means. The last one is indented as YAML 1.2 asks.
printf 'data:\n  list: [\n1, 2]\n' >left.yaml
printf 'data:\n  list: [\n  1, 2\n  ]\n' >level.yaml
printf 'data:\n  list: [\n    1, 2\n]\n' >bracket.yaml
printf 'data:\n  list: [\n    1, 2\n  ]\n' >deeper.yaml

cat >read.mjs <<'JS'
import { readFileSync } from "node:fs";
import { parseDocument } from "yaml";

const text = readFileSync(process.argv[2], "utf8");
for (const strict of [true, false]) {
  const document = parseDocument(text, { strict });
  console.log(document.errors[0]?.code ?? JSON.stringify(document));
}
JS
cat >read.py <<'PY'
import json, sys, yaml
print(json.dumps(yaml.load(open(sys.argv[1]), yaml.CSafeLoader), separators=(",", ":")))
PY
cat >main.go <<'GO'
package main

import (
	"fmt"
	"os"

	"sigs.k8s.io/yaml"
)

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	read, err := yaml.YAMLToJSON(text)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(read))
}
GO
go build -o read .
same=1
for file in left level bracket deeper; do
  mapfile -t npm < <(node read.mjs "$file.yaml")
  libyaml=$(venv/bin/python read.py "$file.yaml" 2>&1 | tail -n 1)
  kubectl=$(./read "$file.yaml")
  echo "$file: npm yaml ${npm[0]} (not strict: ${npm[1]}), libyaml $libyaml, sigs.k8s.io/yaml $kubectl"
  meaning='{"data":{"list":[1,2]}}'
  wanted=BAD_INDENT
  [[ $file != deeper ]] || wanted=$meaning
  [[ ${npm[0]} == "$wanted" && ${npm[1]} == "$wanted" && $libyaml == "$meaning" && $kubectl == "$meaning" ]] || same=0
done
[[ $same == 1 ]] || { echo "the behaviour has changed"; exit 1; }
echo "npm yaml 2.9.1 refuses flow content at the indentation of its block or left of it; libyaml and Kubernetes take it"

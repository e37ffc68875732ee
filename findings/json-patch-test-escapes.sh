#!/usr/bin/env bash
# gopkg.in/evanphx/json-patch.v4 v4.13.0: a `test` operation compares strings as they are written, not what they say. With
# a document that encoding/json has written, where <, > and & stand as \u003c, \u003e and \u0026, a test for "x < y" fails
# on a value that is "x < y"; a test for "x \u003c y" passes. The other way round with a document that has the plain
# characters, and also with any other escape (é against \u00e9). RFC 6902, section 4.6, asks for the same characters.
# Seen on kube-apiserver v1.37.2, which uses this version and encodes the current object in this way: a ConfigMap with
# a: "x < y & z" answers 422 Invalid to a JSON patch whose `test` spells it so, and applies the one with the escapes.
# `kubectl patch` never shows it, since kubectl encodes the patch again, with Go's escapes. A client in another language
# does: its guard against lost updates never passes on values such as shell commands, URLs with queries and HTML.
# A server that compares values, as the RFC says, accepts patches that upstream's refuses.
# What avoids it: a client writes the strings of a `test` as Go's encoding/json does, with <, > and & as \u003c, \u003e and
# \u0026 and letters beyond ASCII as they are.
# Needs Go 1.26 and the Go module proxy. Exits with 1 where the behaviour has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export GOFLAGS=-mod=mod GOTOOLCHAIN=local
go mod init example.com/escapes >/dev/null 2>&1
go get gopkg.in/evanphx/json-patch.v4@v4.13.0 >/dev/null 2>&1
cat >main.go <<'GO'
package main

import (
	"encoding/json"
	"fmt"
	"os"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
)

// passes reports whether a test of /a for value, JSON text, passes on the document.
func passes(document []byte, value string) bool {
	patch, err := jsonpatch.DecodePatch([]byte(`[{"op": "test", "path": "/a", "value": ` + value + `}]`))
	if err != nil {
		panic(err)
	}
	_, err = patch.Apply(document)
	return err == nil
}

func main() {
	same := true
	for _, row := range []struct{ stored, plain, escaped string }{
		{"x < y", `"x < y"`, `"x \u003c y"`},
		{"x > y", `"x > y"`, `"x \u003e y"`},
		{"x & y", `"x & y"`, `"x \u0026 y"`},
	} {
		written, err := json.Marshal(map[string]string{"a": row.stored})
		if err != nil {
			panic(err)
		}
		unescaped := []byte(`{"a": ` + row.plain + `}`)
		for index, document := range [][]byte{written, unescaped} {
			plain, escaped := passes(document, row.plain), passes(document, row.escaped)
			fmt.Printf("on %s: test %s passes: %t, test %s passes: %t\n", document, row.plain, plain, row.escaped, escaped)
			same = same && plain == (index == 1) && escaped == (index == 0)
		}
	}
	same = same && passes([]byte(`{"a": "é"}`), `"é"`) && !passes([]byte(`{"a": "é"}`), `"\u00e9"`)
	if !same {
		os.Exit(3)
	}
}
GO
go build -o escapes .
./escapes || { echo "the behaviour has changed"; exit 1; }
echo "json-patch.v4 v4.13.0 compares the text of strings in a test operation, not their characters"

//go:build tools

// Package suite pins what the conformance lane builds: Kubernetes' e2e suite, its runner, and the programs that it uses.
package suite

import (
	_ "github.com/onsi/ginkgo/v2/ginkgo"
	_ "k8s.io/kubernetes/cmd/kubectl"
	_ "k8s.io/kubernetes/test/e2e"
	_ "k8s.io/kubernetes/test/images/agnhost"
)

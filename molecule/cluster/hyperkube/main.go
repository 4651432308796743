// SPDX-License-Identifier: GPL-3.0-or-later

// Command hyperkube is each component of Kubernetes, etcd and kubectl in one program. Its first argument says which of them
// to be. One program shares most of its code between them: it links in minutes and has a sixth of their size.
package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// component runs one of them with the arguments in os.Args and returns its exit status.
type component func() int

// Which of them is etcd, which has no cobra command of its own, and kubectl, which says its errors itself.
var components = map[string]component{
	"etcd": func() int { etcdmain.Main(os.Args); return 0 },
	"kubectl": func() int {
		if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	},
	"kube-apiserver":          daemon(func() *cobra.Command { return apiserver.NewAPIServerCommand() }),
	"kube-controller-manager": daemon(func() *cobra.Command { return controllers.NewControllerManagerCommand() }),
	"kube-proxy":              daemon(func() *cobra.Command { return proxy.NewProxyCommand() }),
	"kube-scheduler":          daemon(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
	"kubelet":                 daemon(func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) }),
}

// daemon puts off making a command until it is asked for: each registers flags and metrics that another one has too.
func daemon(command func() *cobra.Command) component {
	return func() int { return cli.Run(command()) }
}

func names() string {
	var known []string
	for name := range components {
		known = append(known, name)
	}
	slices.Sort(known)
	return strings.Join(known, ", ")
}

func main() {
	if len(os.Args) > 1 {
		if run, known := components[os.Args[1]]; known {
			os.Args = os.Args[1:]
			os.Exit(run())
		}
	}
	fmt.Fprintln(os.Stderr, "hyperkube: the first argument must be one of", names())
	os.Exit(2)
}

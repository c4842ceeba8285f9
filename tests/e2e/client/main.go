// SPDX-License-Identifier: Apache-2.0

// e2e-client does what users' programs do and ctr does not: it pulls as nerdctl 2.2 does, unpacks an image without a
// word about where it came from, and speaks to containerd as the kubelet does.
//
//	e2e-client pull [--index-digest DIGEST] [--unpackers N] REF    the client fetches, and labels the layers
//	e2e-client unpack REF                                          of an image that is there already; no labels
//	e2e-client cri-pull REF
//	e2e-client cri-run REF COMMAND…                                in a pod of its own; prints the pod's ID
//	e2e-client cri-remove POD
//
// Before these: --address SOCKET, --namespace NAME, --snapshotter NAME.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
)

type environment struct {
	address     string
	namespace   string
	snapshotter string
}

func (env *environment) connect(ctx context.Context) (context.Context, *containerd.Client, error) {
	client, err := containerd.New(env.address, containerd.WithTimeout(10*time.Second))
	return namespaces.WithNamespace(ctx, env.namespace), client, err
}

type command struct {
	run     func(ctx context.Context, env *environment, args []string) error
	minArgs int
}

var commands = map[string]command{
	"pull":       {pull, 1},
	"unpack":     {unpack, 1},
	"cri-pull":   {criPull, 1},
	"cri-run":    {criRun, 2},
	"cri-remove": {criRemove, 1},
}

func run(ctx context.Context) error {
	var env environment
	flag.StringVar(&env.address, "address", "/run/containerd/containerd.sock", "containerd's socket")
	flag.StringVar(&env.namespace, "namespace", "default", "containerd's namespace")
	flag.StringVar(&env.snapshotter, "snapshotter", "soci", "which snapshotter to unpack with")
	flag.Parse()
	args := flag.Args()
	if len(args) == 0 {
		return fmt.Errorf("no command")
	}
	cmd, known := commands[args[0]]
	if !known || len(args) <= cmd.minArgs {
		return fmt.Errorf("no such command, or too few arguments: %v", args)
	}
	return cmd.run(ctx, &env, args[1:])
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	err := run(ctx)
	cancel()
	if err != nil {
		fmt.Fprintf(os.Stderr, "e2e-client: %v\n", err)
		os.Exit(1)
	}
}

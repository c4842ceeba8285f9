// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/platforms"
	"golang.org/x/sync/semaphore"
)

func pull(ctx context.Context, env *environment, args []string) error {
	flags := flag.NewFlagSet("pull", flag.ExitOnError)
	indexDigest := flags.String("index-digest", "", "the SOCI index to use, as nerdctl's --soci-index-digest")
	unpackers := flags.Int64("unpackers", 0, "layers unpacked at once, where the snapshotter can; 0: one after another")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ref := flags.Arg(0)

	ctx, client, err := env.connect(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, release, err := client.WithLease(ctx)
	if err != nil {
		return err
	}
	defer release(ctx)

	var unpackOpts []containerd.UnpackOpt
	if *unpackers > 0 {
		unpackOpts = append(unpackOpts, containerd.WithUnpackLimiter(semaphore.NewWeighted(*unpackers)))
	}
	_, err = client.Pull(ctx, ref,
		containerd.WithResolver(docker.NewResolver(docker.ResolverOptions{
			Hosts: docker.ConfigureDefaultRegistries(docker.WithPlainHTTP(docker.MatchAllHosts)),
		})),
		containerd.WithPlatformMatcher(platforms.Default()),
		containerd.WithPullUnpack,
		containerd.WithUnpackOpts(unpackOpts),
		containerd.WithPullSnapshotter(env.snapshotter),
		containerd.WithImageHandlerWrapper(labelLayers(ref, *indexDigest)))
	return err
}

func unpack(ctx context.Context, env *environment, args []string) error {
	ctx, client, err := env.connect(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	image, err := client.GetImage(ctx, args[0])
	if err != nil {
		return err
	}
	return image.Unpack(ctx, env.snapshotter)
}

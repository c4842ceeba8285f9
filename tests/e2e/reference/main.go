// SPDX-License-Identifier: Apache-2.0

// Here stands awslabs' snapshotter, the reference that Finch installs, as a program: its module has all of it but its
// commands, and this has the flags, the socket and the answers to signals of the one that systemd runs.
//
//	soci-snapshotter-grpc [--address fd://] [--config FILE] [--root DIR]
//	soci-snapshotter-grpc --version
//
// As there, a word that it does not know is nothing to it: it runs.
//
// Its data lies where the reference keeps it: snapshots, bolt's databases, mounts of FUSE.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/awslabs/soci-snapshotter/config"
	"github.com/awslabs/soci-snapshotter/fs"
	"github.com/awslabs/soci-snapshotter/metadata"
	"github.com/awslabs/soci-snapshotter/service"
	"github.com/awslabs/soci-snapshotter/service/keychain/dockerconfig"
	"github.com/awslabs/soci-snapshotter/ztoc"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/v2/contrib/snapshotservice"
	"github.com/containerd/log"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/grpc"
)

const socket = "/run/soci-snapshotter-grpc/soci-snapshotter-grpc.sock"

// tell tells systemd, when it has started us.
func tell(state string) error {
	address := os.Getenv("NOTIFY_SOCKET")
	if address == "" {
		return nil
	}
	conn, err := net.Dial("unixgram", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte(state))
	return err
}

func listen() (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(socket), 0o700); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(socket); err != nil {
		return nil, err
	}
	return net.Listen("unix", socket)
}

// trees is where it keeps what is in the layers that are mounted. A second daemon waits here for the first to end.
func trees(root string) (metadata.Store, error) {
	db, err := bolt.Open(filepath.Join(root, "metadata.db"), 0o600, nil)
	if err != nil {
		return nil, err
	}
	return func(layer *io.SectionReader, toc ztoc.TOC, opts ...metadata.Option) (metadata.Reader, error) {
		return metadata.NewReader(db, layer, toc, opts...)
	}, nil
}

func serve(ctx context.Context, configFile, root string) error {
	cfg, err := config.NewConfigFromToml(configFile)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(root, 0o711); err != nil {
		return err
	}
	store, err := trees(root)
	if err != nil {
		return err
	}
	snapshotter, err := service.NewSociSnapshotterService(ctx, root, &cfg.ServiceConfig,
		service.WithCredsFuncs(dockerconfig.NewDockerConfigKeychain(ctx)),
		service.WithFilesystemOptions(fs.WithMetadataStore(store)))
	if err != nil {
		return err
	}
	listener, err := listen()
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	snapshotsapi.RegisterSnapshotsServer(server, snapshotservice.FromSnapshotter(snapshotter))
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	if err := tell("READY=1"); err != nil {
		return err
	}
	log.G(ctx).WithField("address", socket).Info("the reference serves")
	select {
	case err := <-failed:
		return err
	case sig := <-signals:
		log.G(ctx).Infof("Got %v", sig)
		_ = tell("STOPPING=1")
		if sig == syscall.SIGINT { // SIGTERM leaves the mounts to the next that starts
			return snapshotter.Close()
		}
		return nil
	}
}

func main() {
	address := flag.String("address", "fd://", "as in the unit: no socket is passed, so it is the usual one")
	configFile := flag.String("config", config.DefaultConfigPath, "configuration")
	root := flag.String("root", config.DefaultSociSnapshotterRootPath, "data")
	version := flag.Bool("version", false, "print the version")
	flag.Parse()
	if *version {
		fmt.Println("soci-snapshotter-grpc version v0.15.0 (its library)")
		return
	}
	if *address != "fd://" && *address != socket {
		fmt.Fprintf(os.Stderr, "reference: no such address: %s\n", *address)
		os.Exit(2)
	}
	if err := serve(context.Background(), *configFile, *root); err != nil {
		log.L.WithError(err).Error("failed")
		os.Exit(1)
	}
}

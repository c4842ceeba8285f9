// SPDX-License-Identifier: Apache-2.0

// Package suite runs the tests that containerd has for its own snapshotters against ours, over its own client. Each
// gets a daemon of its own, with nothing in it.
package suite

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/proxy"
	"github.com/containerd/containerd/v2/core/snapshots/testsuite"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func waitForSocket(address string) error {
	var err error
	for range 500 {
		var conn net.Conn
		if conn, err = net.Dial("unix", address); err == nil {
			return conn.Close()
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

// start runs a daemon with its root below `root`. The second result stops it, which it must take well.
func start(_ context.Context, root string) (snapshots.Snapshotter, func() error, error) {
	address := filepath.Join(root, "snapshotter.sock")
	daemon := exec.Command("soci-snapshotter-grpc", "--root", filepath.Join(root, "state"), "--address", address,
		"--config", os.Getenv("SUITE_CONFIG"))
	daemon.Stderr = os.Stderr
	if err := daemon.Start(); err != nil {
		return nil, nil, err
	}
	stop := func() error {
		if err := daemon.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		return daemon.Wait()
	}
	if err := waitForSocket(address); err != nil {
		_ = stop()
		return nil, nil, err
	}
	conn, err := grpc.NewClient("unix://"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		_ = stop()
		return nil, nil, err
	}
	cleanup := func() error {
		_ = conn.Close()
		return stop()
	}
	return proxy.NewSnapshotter(snapshotsapi.NewSnapshotsClient(conn), "soci"), cleanup, nil
}

func TestSnapshotter(t *testing.T) {
	// By this name the suite does not try to rename a directory of a lower layer, which the kernel's overlayfs
	// refuses whoever mounts it.
	testsuite.SnapshotterSuite(t, "overlayfs", start)
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func dialCRI(env *environment) (*grpc.ClientConn, error) {
	return grpc.NewClient("unix://"+env.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

func criPull(ctx context.Context, env *environment, args []string) error {
	conn, err := dialCRI(env)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = cri.NewImageServiceClient(conn).PullImage(ctx, &cri.PullImageRequest{Image: &cri.ImageSpec{Image: args[0]}})
	return err
}

// hostPod is a pod that shares the network of its host. Its control groups are below one that is named as containerd's
// namespace, and what its containers say goes to files in the directory of `logs`.
func hostPod(logs string) *cri.PodSandboxConfig {
	host := &cri.NamespaceOption{Network: cri.NamespaceMode_NODE}
	return &cri.PodSandboxConfig{
		Metadata:     &cri.PodSandboxMetadata{Name: "pod", Uid: "pod", Namespace: "default"},
		LogDirectory: logs,
		Linux: &cri.LinuxPodSandboxConfig{
			CgroupParent:    "/" + os.Getenv("CONTAINERD_NAMESPACE"),
			SecurityContext: &cri.LinuxSandboxSecurityContext{NamespaceOptions: host},
		},
	}
}

// criRun prints the pod's ID; what the command says comes to $E2E_DIR/work/pod/log.
func criRun(ctx context.Context, env *environment, args []string) error {
	conn, err := dialCRI(env)
	if err != nil {
		return err
	}
	defer conn.Close()
	runtime := cri.NewRuntimeServiceClient(conn)
	pod := hostPod(filepath.Join(os.Getenv("E2E_DIR"), "work", "pod"))
	sandbox, err := runtime.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: pod})
	if err != nil {
		return fmt.Errorf("pod: %w", err)
	}
	container, err := runtime.CreateContainer(ctx, &cri.CreateContainerRequest{
		PodSandboxId:  sandbox.PodSandboxId,
		SandboxConfig: pod,
		Config: &cri.ContainerConfig{
			Metadata: &cri.ContainerMetadata{Name: "container"},
			Image:    &cri.ImageSpec{Image: args[0]},
			Command:  args[1:],
			LogPath:  "log",
			Linux: &cri.LinuxContainerConfig{SecurityContext: &cri.LinuxContainerSecurityContext{
				NamespaceOptions: pod.Linux.SecurityContext.NamespaceOptions,
			}},
		},
	})
	if err != nil {
		return fmt.Errorf("container: %w", err)
	}
	if _, err = runtime.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: container.ContainerId}); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	fmt.Println(sandbox.PodSandboxId)
	return nil
}

func criRemove(ctx context.Context, env *environment, args []string) error {
	conn, err := dialCRI(env)
	if err != nil {
		return err
	}
	defer conn.Close()
	runtime := cri.NewRuntimeServiceClient(conn)
	if _, err = runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: args[0]}); err != nil {
		return err
	}
	_, err = runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: args[0]})
	return err
}

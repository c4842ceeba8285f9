// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/pkg/labels"
	"github.com/containerd/containerd/v2/pkg/snapshotters"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// What nerdctl 2.0 to 2.2 add to containerd's own labels for a snapshotter with "soci" in its name.
const (
	labelSize        = "containerd.io/snapshot/remote/soci.size"
	labelLayersSize  = "containerd.io/snapshot/remote/image.layers.size"
	labelIndexDigest = "containerd.io/snapshot/remote/soci.index.digest"
)

// labelLayers gives each layer of a manifest the annotations that become labels of its Prepare. The index's digest is
// there even when it is empty.
func labelLayers(ref, indexDigest string) func(images.Handler) images.Handler {
	return func(handler images.Handler) images.Handler {
		handler = snapshotters.AppendInfoHandlerWrapper(ref)(handler)
		return images.HandlerFunc(func(ctx context.Context, desc ocispec.Descriptor) ([]ocispec.Descriptor, error) {
			children, err := handler.Handle(ctx, desc)
			if err != nil || !images.IsManifestType(desc.MediaType) {
				return children, err
			}
			for i := range children {
				if child := &children[i]; images.IsLayerType(child.MediaType) {
					named := strings.Split(child.Annotations[snapshotters.TargetImageLayersLabel], ",")
					child.Annotations[labelSize] = strconv.FormatInt(child.Size, 10)
					child.Annotations[labelIndexDigest] = indexDigest
					child.Annotations[labelLayersSize] = sizes(children[i : i+len(named)])
				}
			}
			return children, nil
		})
	}
}

// sizes lists those of the layers, as many as a label holds.
func sizes(layers []ocispec.Descriptor) string {
	var list []string
	for _, layer := range layers {
		longer := append(list, strconv.FormatInt(layer.Size, 10))
		if labels.Validate(labelLayersSize, strings.Join(longer, ",")) != nil {
			break
		}
		list = longer
	}
	return strings.Join(list, ",")
}

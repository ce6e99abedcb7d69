package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/luna-hpc/luna/pkg/subject"
)

// Release publishes a release of an osimage that is four small files, where nobody packs.
func (h *Head) Release(ctx context.Context, osimageID string) error {
	packer, err := h.Bus("image-packer")
	if err != nil {
		return err
	}
	defer packer.Close()
	files, err := packer.JS.ObjectStore(ctx, subject.Files)
	if err != nil {
		return err
	}
	release := map[string]string{"kernver": "6.1.0-9"}
	for _, part := range []string{"kernel", "initrd", "torrent", "manifest"} {
		digest := fmt.Sprintf("%x", sha256.Sum256([]byte(part)))
		if _, err := files.PutString(ctx, digest, part); err != nil {
			return err
		}
		release[part] = "sha256:" + digest
	}
	body, err := json.Marshal(map[string]any{"osimage_id": osimageID, "current": release["manifest"], "releases": []any{release}})
	if err != nil {
		return err
	}
	_, err = packer.JS.Publish(ctx, subject.Release(osimageID), body)
	return err
}

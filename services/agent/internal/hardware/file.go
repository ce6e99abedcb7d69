package hardware

import (
	"fmt"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/encoding/protojson"

	bootscript "github.com/luna-hpc/luna/proto/bootscript/v1"
)

func file(run string) string { return filepath.Join(run, "hardware.json") }

// Save keeps what was found in the boot's folder, so that the end of the boot
// tells of the same machine as its beginning.
func Save(run string, h *bootscript.Hardware) error {
	data, err := protojson.MarshalOptions{Multiline: true}.Marshal(h)
	if err == nil {
		err = os.WriteFile(file(run), data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("keep the hardware found: %w", err)
	}
	return nil
}

// Load returns what was saved.
func Load(run string) (*bootscript.Hardware, error) {
	h := &bootscript.Hardware{}
	data, err := os.ReadFile(file(run))
	if err == nil {
		err = protojson.Unmarshal(data, h)
	}
	if err != nil {
		return nil, fmt.Errorf("read the hardware found: %w", err)
	}
	return h, nil
}

package initrd

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/services/image-packer/internal/tree"
)

// memory is what an initrd was made of. It is a cache: when it is gone, or cannot be read, the initrd is built again,
// with the same result.
type memory struct {
	Version int            `json:"version"`
	Kernel  string         `json:"kernel"`
	Modules []string       `json:"modules"`
	Quick   bool           `json:"quick"`
	Agent   release.Digest `json:"agent"`
	Inputs  tree.Record    `json:"inputs"`
	Digest  release.Digest `json:"digest"`
	Report  *Report        `json:"report"`
}

// memoryVersion changes with everything that makes another initrd of the same files.
const memoryVersion = 2

// settled is how long before a build a file must have changed last, so that the next change is seen in its time.
const settled = time.Second

// Remember writes into the file at path what the initrd with that digest was made of.
func Remember(path string, opts Options, report *Report, digest release.Digest) error {
	m, err := ask(opts)
	if err != nil {
		return fmt.Errorf("remember initrd: %w", err)
	}
	if !report.inputs.Settled(opts.Tree, report.started.Add(-settled)) {
		return nil
	}
	m.Inputs, m.Report, m.Digest = report.inputs, report, digest
	data, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("remember initrd: %w", err)
	}
	// Not synced: a torn file is no JSON, and read as none.
	temp := path + ".new"
	if err := os.WriteFile(temp, data, 0o600); err != nil {
		return fmt.Errorf("remember initrd: %w", err)
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("remember initrd: %w", err)
	}
	return nil
}

// Recall returns the digest and the report of the initrd that Build would make again, as far as Remember has noted one
// in the file at path: of the same files of the image, the same agent, for the same kernel and modules.
func Recall(path string, opts Options) (*Report, release.Digest, bool) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, "", false
	}
	var was memory
	if json.Unmarshal(data, &was) != nil || was.Report == nil || len(was.Inputs) == 0 {
		return nil, "", false
	}
	is, err := ask(opts)
	if err != nil || is.Version != was.Version || is.Kernel != was.Kernel || is.Agent != was.Agent || is.Quick != was.Quick || !slices.Equal(is.Modules, was.Modules) {
		return nil, "", false
	}
	if !was.Inputs.Unchanged(opts.Tree) {
		return nil, "", false
	}
	return was.Report, was.Digest, true
}

// ask returns what the caller wants, as the memory holds it.
func ask(opts Options) (memory, error) {
	agent, err := os.ReadFile(opts.AgentBinary)
	if err != nil {
		return memory{}, err
	}
	return memory{Version: memoryVersion, Kernel: opts.KernelVersion, Modules: opts.KernelModules, Quick: opts.Quick, Agent: release.DigestOf(agent)}, nil
}

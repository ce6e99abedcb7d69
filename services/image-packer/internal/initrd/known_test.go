package initrd_test

import (
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/services/image-packer/internal/initrd"
)

func TestRecall(t *testing.T) {
	im := newImage(t)
	opts := initrd.Options{Tree: im.root, KernelVersion: "6.1", AgentBinary: im.agent, WorkDir: t.TempDir(), Out: io.Discard}
	path := filepath.Join(t.TempDir(), "memory")
	if _, _, ok := initrd.Recall(path, opts); ok {
		t.Fatal("recalled what nobody has built")
	}
	report, err := initrd.Build(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	want := release.DigestOf([]byte("initrd"))
	if err := initrd.Remember(path, opts, report, want); err != nil {
		t.Fatal(err)
	}
	if _, _, ok := initrd.Recall(path, opts); ok {
		t.Fatal("recalled files that were made a moment before")
	}
	if err := initrd.Remember(path, opts, report.BuiltAt(time.Now().Add(time.Minute)), want); err != nil {
		t.Fatal(err)
	}
	im.file("srv/other", "not of the initrd")
	got, digest, ok := initrd.Recall(path, opts)
	if !ok || digest != want {
		t.Fatalf("recalled %s, %v", digest, ok)
	}
	if diff := cmp.Diff(report, got, cmpopts.IgnoreUnexported(initrd.Report{})); diff != "" {
		t.Errorf("report (-built +recalled):\n%s", diff)
	}
	for name, change := range map[string]func(*initrd.Options){
		"kernel":  func(o *initrd.Options) { o.KernelVersion = "6.2" },
		"quick":   func(o *initrd.Options) { o.Quick = true },
		"modules": func(o *initrd.Options) { o.KernelModules = []string{"ipmi_si"} },
		"agent":   func(o *initrd.Options) { o.AgentBinary = "/bin/sh" },
		"tool":    func(*initrd.Options) { im.file("usr/bin/sed", "new") },
	} {
		other := opts
		change(&other)
		if _, _, ok := initrd.Recall(path, other); ok {
			t.Errorf("recalled in spite of another %s", name)
		}
		im.remove("usr/bin/sed")
	}
}

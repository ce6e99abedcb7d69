package initrd_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/services/image-packer/internal/initrd"
)

// program puts a program of this machine into the image, with its libraries.
func (im image) program(name string) {
	im.Helper()
	from := testenv.Program(im.T, name)
	needs, err := exec.Command("ldd", from).Output()
	if err != nil {
		im.Fatal(err)
	}
	im.copy(from, "usr/bin/"+name)
	for _, word := range strings.Fields(string(needs)) {
		if strings.HasPrefix(word, "/") {
			im.copy(word, word)
		}
	}
}

func (im image) copy(from, to string) {
	im.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		im.Fatal(err)
	}
	im.file(to, string(data))
}

func (im image) buildQuick(quick bool) (*initrd.Report, []byte) {
	im.Helper()
	var out bytes.Buffer
	report, err := initrd.Build(im.Context(), initrd.Options{Tree: im.root, KernelVersion: "6.1", AgentBinary: im.agent, WorkDir: im.TempDir(), Out: &out, Quick: quick})
	if err != nil {
		im.Fatal(err)
	}
	return report, out.Bytes()
}

// TestKernelWithoutZstdGetsXz packs with the xz of this machine.
func TestKernelWithoutZstdGetsXz(t *testing.T) {
	t.Parallel()
	im := newImage(t)
	im.file("boot/config-6.1", "CONFIG_RD_GZIP=y\nCONFIG_RD_XZ=y\n# CONFIG_RD_ZSTD is not set\n")
	im.program("xz")
	report, packed := im.buildQuick(false)
	r, err := xz.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	if got := contents(t, r); report.Compression != "xz" || got["init"] != "usr/bin/luna-agent" {
		t.Errorf("%s, init is %q", report.Compression, got["init"])
	}
}

// TestImagesOwnZstd packs with the zstd of this machine.
func TestImagesOwnZstd(t *testing.T) {
	im := newImage(t)
	im.program("zstd")
	sizes := map[bool]int64{}
	for _, quick := range []bool{false, true} {
		report, packed := im.buildQuick(quick)
		z, err := zstd.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		if got := contents(t, z); report.Compression != "zstd" || got["init"] != "usr/bin/luna-agent" {
			t.Errorf("%s, init is %q", report.Compression, got["init"])
		}
		z.Close()
		sizes[quick] = report.Size
	}
	if sizes[false] >= sizes[true] {
		t.Errorf("%d bytes, %d when quick", sizes[false], sizes[true])
	}
}

package imagepackerv1_test

import (
	"testing"

	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
)

func TestParseSource(t *testing.T) {
	for text, want := range map[string]imagepackerv1.Source{
		"docker-archive:a.tar":                          {Transport: "docker-archive", Path: "a.tar"},
		"docker-archive:/x/a.tar:example.org:80/deb:12": {Transport: "docker-archive", Path: "/x/a.tar", Tag: "example.org:80/deb:12"},
		"docker-archive:/x/a.tar:@1":                    {Transport: "docker-archive", Path: "/x/a.tar", Tag: "@1"},
		"oci:dir":                                       {Transport: "oci", Path: "dir"},
		"oci-archive:../a.tar:latest":                   {Transport: "oci-archive", Path: "../a.tar", Tag: "latest"},
	} {
		got, err := imagepackerv1.ParseSource(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "a.tar", "docker://debian", "oci:", "oci:dir:", "docker-archive::tag", "dir:/x"} {
		if got, err := imagepackerv1.ParseSource(text); err == nil {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
}

package subject_test

import (
	"testing"

	"github.com/luna-hpc/luna/pkg/subject"
)

func TestParseObject(t *testing.T) {
	noun, id, ok := subject.ParseObject(subject.Object("node", "01ABC"))
	if noun != "node" || id != "01ABC" || !ok {
		t.Fatalf("got %q %q %v", noun, id, ok)
	}
	if _, _, ok := subject.ParseObject(subject.Lease("525400000001")); ok {
		t.Fatal("a lease is no object of the inventory")
	}
}

func TestTokenHasNoDotsOrWildcards(t *testing.T) {
	if got := subject.Token("head1.cluster *>"); got != "head1-cluster---" {
		t.Fatalf("got %q", got)
	}
}

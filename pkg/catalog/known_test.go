package catalog_test

import (
	"testing"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/projection"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// TestKnownIsWhatStandsNow joins a node again and again while its group is changed and deleted: what did not change is
// the same object, and nothing old is answered.
func TestKnownIsWhatStandsNow(t *testing.T) {
	r := newRoom(t)
	n := &inventoryv1.Node{Id: "N", Name: "node001", GroupId: "G"}
	r.put(catalog.Osimage, "O", &inventoryv1.Osimage{Id: "O", Name: "compute"})
	r.put(catalog.Group, "G", &inventoryv1.Group{Id: "G", Name: "compute", OsimageId: "O"})
	s := r.follow()
	var known catalog.Known
	join := func() (j catalog.Joined) {
		t.Helper()
		err := s.View(func(tx *projection.Tx) (err error) {
			j, err = known.Of(tx).Join(n)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	first := join()
	if again := join(); first.Group.GetName() != "compute" || again.Group != first.Group || again.Osimage != first.Osimage {
		t.Errorf("%v, then %v", first.Group, again.Group)
	}
	r.put(catalog.Group, "G", &inventoryv1.Group{Id: "G", Name: "other", OsimageId: "O"})
	r.upToDate(s)
	if changed := join(); changed.Group.GetName() != "other" || changed.Osimage != first.Osimage || first.Group.GetName() != "compute" {
		t.Errorf("%v of %v", changed.Group, changed.Osimage)
	}
	r.put(catalog.Group, "G", nil)
	r.upToDate(s)
	if gone := join(); gone.Group != nil || gone.Osimage != nil {
		t.Errorf("%v of %v", gone.Group, gone.Osimage)
	}
}

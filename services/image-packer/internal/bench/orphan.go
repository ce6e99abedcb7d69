package bench

import (
	"errors"
	"fmt"
	"slices"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// orphaned says what a directory is that an import or a clone has made, when that was killed before it could be described.
// The inventory was asked before whether an osimage has it.
func (b *Bench) orphaned(dir string) error {
	all, err := b.Yard.Orphans()
	if err != nil {
		return err
	}
	if !slices.Contains(all, dir) {
		return nil
	}
	return fault.Conflictf("path %s on head %s is there already: %s", dir, b.Packer.Head, whatOrphan(dir))
}

// whatOrphan says of a directory how it came to be, and what can be done.
func whatOrphan(dir string) string {
	return fmt.Sprintf("an import or a clone made it whole, was interrupted, and no osimage has it. "+
		"Remove it with `rm -r %s` and begin anew, or, when it holds a kernel, keep it: luna osimage add -n NAME -p %s", dir, dir)
}

// adopt forgets which directories were made when an osimage has them, and tells of the others.
func (b *Bench) adopt() error {
	orphans, err := b.Yard.Orphans()
	if err != nil || len(orphans) == 0 {
		return err
	}
	had := map[string]bool{}
	err = catalog.Read(b.State, func(v catalog.View) error {
		return v.Each(catalog.Osimage, "", func(o *inventoryv1.Object) bool {
			if i := o.GetOsimage(); i.Head == b.Packer.Head {
				had[i.Path] = true
			}
			return true
		})
	})
	if err != nil {
		return err
	}
	for _, dir := range orphans {
		if had[dir] {
			err = errors.Join(err, b.Yard.Own(dir))
			continue
		}
		b.Log.Warn("a directory is nobody's: "+whatOrphan(dir), "path", dir)
	}
	return err
}

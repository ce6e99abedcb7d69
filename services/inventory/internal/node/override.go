package node

import (
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
)

// override sets what a node has in place of its group's values.
func override(d *change.Draft, n *inventoryv1.Node, r *inventoryv1.NodeChangeRequest) error {
	own := map[string]**string{
		"osimage": &n.OsimageId, "kernopts": &n.Kernopts, "prescript": &n.Prescript, "partscript": &n.Partscript, "postscript": &n.Postscript,
	}
	for _, field := range inventoryv1.Words(r.Inherit) {
		if own[field] == nil {
			return fault.Invalidf("inherit %q: it is a comma list of osimage, kernopts, prescript, partscript and postscript", field)
		}
		*own[field] = nil
	}
	for field, text := range map[string]*string{"kernopts": r.Kernopts, "prescript": r.Prescript, "partscript": r.Partscript, "postscript": r.Postscript} {
		if text == nil {
			continue
		}
		*own[field] = text
	}
	if r.Osimage == nil {
		return nil
	}
	o, err := d.Named(catalog.Osimage, *r.Osimage, 0)
	if err != nil {
		return err
	}
	n.OsimageId = &o.GetOsimage().Id
	return nil
}

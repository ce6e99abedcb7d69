package catalog

import inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"

// OsimageID returns the osimage that a node boots: its own, or its group's.
func OsimageID(n *inventoryv1.Node, g *inventoryv1.Group) string {
	if n.GetOsimageId() != "" {
		return n.GetOsimageId()
	}
	return g.GetOsimageId()
}

// Kernopts returns the kernel's options: the node's own, or its osimage's.
func (j Joined) Kernopts() string {
	if j.Node != nil && j.Node.Kernopts != nil {
		return *j.Node.Kernopts
	}
	return j.Osimage.GetKernopts()
}

// Prescript returns the node's own prescript, or its group's.
func (j Joined) Prescript() string {
	if j.Node != nil && j.Node.Prescript != nil {
		return *j.Node.Prescript
	}
	return j.Group.GetPrescript()
}

// Partscript returns the node's own partscript, or its group's.
func (j Joined) Partscript() string {
	if j.Node != nil && j.Node.Partscript != nil {
		return *j.Node.Partscript
	}
	return j.Group.GetPartscript()
}

// Postscript returns the node's own postscript, or its group's.
func (j Joined) Postscript() string {
	if j.Node != nil && j.Node.Postscript != nil {
		return *j.Node.Postscript
	}
	return j.Group.GetPostscript()
}

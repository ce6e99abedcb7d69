package imagepackerv1

// Digests returns the digests of all files that a release names: kernel, initrd, torrent and manifest, and torrent and
// manifest of its compressed image when it has one. Files that were not made are empty.
func (r *Release) Digests() []string {
	all := []string{r.GetKernel(), r.GetInitrd(), r.GetTorrent(), r.GetManifest()}
	if o := r.GetOverlay(); o != nil {
		all = append(all, o.GetTorrent(), o.GetManifest())
	}
	return all
}

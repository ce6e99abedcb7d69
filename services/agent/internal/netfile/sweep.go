package netfile

import "strings"

// places are where each manager's files stand that have a name of ours.
var places = []struct {
	dir, prefix string
	manager     string
}{
	{networkdDir, "00-luna-", networkdName},
	{keyfileDir, "luna-", nmName},
	{netplanDir, "zz-luna.yaml", netplanName},
	{interfacesD, "luna", ifupdownName},
}

// sweep removes what was written for another manager, which the image had when
// it was grabbed from a node: networkd would take its own files before netplan's.
func (j *job) sweep() error {
	for _, p := range places {
		if p.manager == j.manager.name {
			continue
		}
		ours := func(name string) bool { return strings.HasPrefix(name, p.prefix) && j.isOurs(p.dir+"/"+name) }
		if err := j.prune(p.dir, ours, nil); err != nil {
			return err
		}
	}
	return nil
}

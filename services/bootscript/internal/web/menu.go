package web

import (
	"net/netip"
	"strconv"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/services/bootscript/internal/ipxe"
	"github.com/luna-hpc/luna/services/bootscript/internal/plan"
)

// menu answers ?step=boot.
func (h *Handler) menu(asked netip.Addr) (answer, error) {
	var m ipxe.Menu
	err := catalog.Read(h.State, func(v catalog.View) error {
		c, err := cluster(v)
		if err != nil {
			return err
		}
		site := plan.SiteOf(c, asked)
		all := site.URLs("")
		m = ipxe.Menu{URL: all[0], Others: all[1:], Head: site.Heads[0].String(), Wait: c.GetMenuWait()}
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	text, err := m.Script()
	return script(text), err
}

// choose answers ?step=choose&page=N; a page that is not there is the nearest.
func (h *Handler) choose(page string, asked netip.Addr) (answer, error) {
	n, err := strconv.Atoi(page)
	if err != nil {
		n = 1
	}
	var c ipxe.Choice
	err = catalog.Read(h.State, func(v catalog.View) error {
		cl, err := cluster(v)
		if err != nil {
			return err
		}
		c.URL = plan.SiteOf(cl, asked).URL()
		return fillPage(v, &c, n)
	})
	if err != nil {
		return answer{}, err
	}
	text, err := c.Script()
	return script(text), err
}

func fillPage(v catalog.View, c *ipxe.Choice, page int) error {
	var ids []string
	err := v.EachName(catalog.Node, "", func(_, id string) bool { ids = append(ids, id); return true })
	if err != nil {
		return err
	}
	c.Pages = max(1, (len(ids)+ipxe.PerPage-1)/ipxe.PerPage)
	c.Page = min(max(page, 1), c.Pages)
	first := (c.Page - 1) * ipxe.PerPage
	for _, id := range ids[first:min(first+ipxe.PerPage, len(ids))] {
		n, err := v.Node(id)
		if err != nil {
			return err
		}
		c.Nodes = append(c.Nodes, ipxe.Node{Name: n.GetName(), MAC: n.GetMac()})
	}
	return nil
}

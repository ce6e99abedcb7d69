package seen

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	switchpollerv1 "github.com/luna-hpc/luna/proto/switchpoller/v1"
)

// A page ends when it has this many rows, or this many bytes: a reply must stay below the bus's usual megabyte.
const (
	pageRows  = 2000
	pageBytes = 900 << 10
)

// root is what all subjects of what was seen begin with.
var root = strings.TrimSuffix(subject.SwitchMAC("", ""), ".")

// place is what follows it: a switch and a MAC.
var place = regexp.MustCompile(`^[A-Za-z0-9_-]+\.[0-9a-f]{12}$`)

// List returns what was seen and is not over at a time, with what the inventory knows of it, by switch id and MAC. Next is
// where the following page begins; empty at the end. What was seen on switches that are gone is left out.
func List(tx *projection.Tx, r *switchpollerv1.ListMacsRequest, now time.Time) (*switchpollerv1.ListMacsReply, error) {
	after := ""
	if r.After != "" {
		if !place.MatchString(r.After) {
			return nil, fault.Invalidf("after must be the next of a page before, not %q", r.After)
		}
		after = root + r.After
	}
	limit := pageRows
	if r.Limit > 0 {
		limit = min(limit, int(r.Limit))
	}
	page := page{view: catalog.Of(tx), reply: &switchpollerv1.ListMacsReply{}, rows: limit, bytes: pageBytes}
	err := each(tx, "", after, func(key string, m *switchpollerv1.Seen) bool {
		if _, until := times(m); !until.After(now) {
			return true
		}
		return page.add(key, m)
	})
	if page.err != nil {
		return nil, page.err
	}
	return page.reply, err
}

// page gathers rows until it is full.
type page struct {
	view        catalog.View
	reply       *switchpollerv1.ListMacsReply
	rows, bytes int
	last        string
	err         error
}

// add takes one row; it is false when the page is full, or an error was met.
func (p *page) add(key string, m *switchpollerv1.Seen) bool {
	row, err := join(p.view, m)
	if err != nil || row == nil {
		p.err = err
		return err == nil
	}
	data, err := wire.Marshal(row)
	if err != nil {
		p.err = err
		return false
	}
	full := p.rows == 0 || (len(data) > p.bytes && len(p.reply.Rows) > 0)
	if full {
		p.reply.Next = p.last
		return false
	}
	p.rows, p.bytes = p.rows-1, p.bytes-len(data)
	p.reply.Rows = append(p.reply.Rows, row)
	p.last = strings.TrimPrefix(key, root)
	return true
}

// join finds the names of a sighting; nil when its switch is gone. A port is configured by its name, or else by its number.
func join(v catalog.View, m *switchpollerv1.Seen) (*switchpollerv1.Row, error) {
	sw, err := v.Switch(m.SwitchId)
	if err != nil || sw == nil {
		return nil, err
	}
	row := &switchpollerv1.Row{Seen: m, Switch: sw.Name}
	node, err := v.NodeByMAC(m.Mac)
	if err != nil {
		return nil, err
	}
	row.Node = node.GetName()
	for _, port := range []string{m.PortName, strconv.FormatUint(uint64(m.PortNumber), 10)} {
		if port == "" || row.Configured != "" {
			continue
		}
		if node, err = v.NodeByPort(m.SwitchId, port); err != nil {
			return nil, err
		}
		row.Configured = node.GetName()
	}
	return row, nil
}

// plainMAC writes 52:54:00:00:00:01 as 12 hex digits.
func plainMAC(mac string) string { return strings.ReplaceAll(mac, ":", "") }

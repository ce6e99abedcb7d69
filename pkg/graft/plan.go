package graft

import (
	"archive/tar"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Kind is what happens to a name.
type Kind string

// The kinds.
const (
	Create Kind = "create"
	Change Kind = "change"
	Delete Kind = "delete"
)

// Step is what is to be done with one name.
type Step struct {
	Kind Kind
	Name string
	// Aspects are what differs, of a name that changes.
	Aspects []string

	want, have *Fact
	via        via
}

// via is how a step is done.
type via int

const (
	remove   via = iota
	mount        // a directory to mount something at
	makeDir      // a directory, new or with other metadata
	makeNode     // anything without content
	copyOwn      // a file whose content is here already
	fetch        // a file whose content must come
	makeLink     // a further name of a file
)

// Plan is all that is to be done with a tree.
type Plan struct {
	Steps []Step
	// Fetch are the names of files whose content must come, Bytes their sizes.
	Fetch []string
	Bytes int64
	// Created, Changed and Deleted count names.
	Created, Changed, Deleted int

	// dirs are the directories as they shall be.
	dirs map[string]*Fact
}

// planner compares what is wanted with what there is.
type planner struct {
	plan    *Plan
	want    map[string]*Fact
	have    map[string]*Fact
	wantOf  map[string][]string // first name → further names
	haveOf  map[inode][]string  // all names
	claimed map[inode]string    // first name wanted → which keeps the inode
	kept    map[string]bool     // first names that stay as they are
	all     bool
}

// NewPlan returns what makes the tree that have tells of like want: what want lacks goes when all is set, else what
// it says must be gone.
func NewPlan(want, have []*Fact, all bool) (*Plan, error) {
	p := &planner{plan: &Plan{dirs: map[string]*Fact{}}, want: map[string]*Fact{}, have: map[string]*Fact{}, wantOf: map[string][]string{},
		haveOf: map[inode][]string{}, claimed: map[inode]string{}, kept: map[string]bool{}, all: all}
	for _, f := range have {
		p.have[f.Name()] = f
		if !f.isDir() {
			id := inode{f.state.Dev, f.state.Ino}
			p.haveOf[id] = append(p.haveOf[id], f.Name())
		}
	}
	for _, f := range want {
		if p.want[f.Name()] != nil {
			return nil, fmt.Errorf("%q is told of twice", f.Name())
		}
		p.want[f.Name()] = f
		if f.isLink() && !f.Gone {
			p.wantOf[f.Header.Linkname] = append(p.wantOf[f.Header.Linkname], f.Name())
		}
	}
	if err := p.removals(have, all); err != nil {
		return nil, err
	}
	for _, f := range want {
		if err := p.wanted(f); err != nil {
			return nil, err
		}
	}
	return p.plan, nil
}

// removals plans what goes, what is below a directory before it.
func (p *planner) removals(have []*Fact, all bool) error {
	mounts := map[string]bool{}
	for name, f := range p.want {
		if f.Mount {
			mounts[name] = true
		}
	}
	for _, f := range slices.Backward(have) {
		want := p.want[f.Name()]
		goes := all && want == nil || want != nil && want.Gone
		replaced := want != nil && !want.Gone && !want.Mount && f.isDir() != want.isDir()
		switch {
		case f.Name() == "." || f.Mount || below(mounts, f.Name()):
		case replaced && f.holds:
			return fmt.Errorf("%s is a directory with names that are left out, and no directory there: remove it by hand", f.Name())
		case goes && f.holds:
			// It stays for what was left out.
		case goes:
			p.step(Step{Kind: Delete, Name: f.Name(), have: f, via: remove})
		case replaced:
			p.plan.Steps = append(p.plan.Steps, Step{Name: f.Name(), have: f, via: remove})
		}
	}
	return nil
}

// replaced are the names that go because what comes to their place is of another kind.
func (p *Plan) replaced() map[string]bool {
	all := map[string]bool{}
	for _, s := range p.Steps {
		if s.via == remove && s.Kind == "" {
			all[s.Name] = true
		}
	}
	return all
}

// below tells whether a name lies below one of the given ones.
func below(above map[string]bool, name string) bool {
	for i := range len(name) {
		if name[i] == '/' && above[name[:i]] {
			return true
		}
	}
	return false
}

func (p *planner) step(s Step) {
	p.plan.Steps = append(p.plan.Steps, s)
	switch s.Kind {
	case Create:
		p.plan.Created++
	case Change:
		p.plan.Changed++
	case Delete:
		p.plan.Deleted++
	}
	if s.via == fetch {
		p.plan.Fetch = append(p.plan.Fetch, s.Name)
		p.plan.Bytes += s.want.Header.Size
	}
}

func (p *planner) wanted(f *Fact) error {
	have := p.have[f.Name()]
	switch {
	case f.Gone:
		return nil
	case f.Mount:
		if have == nil && f.isDir() {
			p.step(Step{Kind: Create, Name: f.Name(), want: f, via: mount})
		}
		return nil
	case f.isLink():
		return p.link(f, have)
	}
	s := Step{Kind: Create, Name: f.Name(), want: f, have: have, via: viaOf(f)}
	if f.isDir() {
		p.plan.dirs[f.Name()] = f
	}
	if have != nil {
		s.Kind, s.Aspects = Change, f.differs(have)
		if len(s.Aspects) == 0 && p.keeps(f, have) {
			return nil
		}
		if s.via == fetch && !slices.Contains(s.Aspects, "content") && !slices.Contains(s.Aspects, "type") {
			s.via = copyOwn
		}
		if len(s.Aspects) == 0 {
			s.Aspects = []string{"links"}
		}
	}
	p.step(s)
	return nil
}

func viaOf(f *Fact) via {
	switch {
	case f.isDir():
		return makeDir
	case f.isRegular() && f.Header.Size > 0:
		return fetch
	}
	return makeNode
}

// keeps tells whether a name that is as it should be stays: of names that are one file now and shall be several, the
// first does.
func (p *planner) keeps(f, have *Fact) bool {
	if f.isDir() {
		return true
	}
	id := inode{have.state.Dev, have.state.Ino}
	if p.claimed[id] != "" {
		return false
	}
	p.claimed[id] = f.Name()
	p.kept[f.Name()] = true
	return true
}

// link plans a further name of a file.
func (p *planner) link(f, have *Fact) error {
	target := f.Header.Linkname
	first := p.want[target]
	if first == nil && !p.all && p.have[target] != nil && !p.have[target].isDir() {
		p.kept[target] = true // it is as it was in both releases
	} else if first == nil || first.isDir() || first.isLink() || first.Gone {
		return fmt.Errorf("%q is a link to %q, of which nothing is told", f.Name(), target)
	}
	s := Step{Kind: Create, Name: f.Name(), want: f, have: have, via: makeLink}
	if have != nil {
		if old := p.have[target]; p.kept[target] && old != nil && old.state.Ino == have.state.Ino && old.state.Dev == have.state.Dev {
			return nil
		}
		s.Kind, s.Aspects = Change, []string{"links"}
	}
	p.step(s)
	return nil
}

// isThere tells whether what a step is to remove is still there, by its inode and type.
func isThere(ino uint64, mode uint32, st unix.Stat_t) bool {
	return st.Ino == ino && st.Mode&unix.S_IFMT == mode&unix.S_IFMT
}

// Line describes a step in one line: + is created, ~ changed, - deleted.
func (s Step) Line() string {
	mark := map[Kind]string{Create: "+ ", Change: "~ ", Delete: "- "}[s.Kind]
	line := mark + s.Name
	if len(s.Aspects) > 0 {
		line += " (" + strings.Join(s.Aspects, ", ") + ")"
	}
	return line
}

// headerOf returns a copy of a fact's header under another name.
func headerOf(f *Fact, name string) *tar.Header {
	hdr := *f.Header
	hdr.Name = name
	return &hdr
}

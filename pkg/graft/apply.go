package graft

import (
	"archive/tar"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/beneath"
	"github.com/luna-hpc/luna/pkg/durable"
	"github.com/luna-hpc/luna/pkg/release"
)

// act is one thing that is done to a tree; done twice it has done no more.
type act struct {
	Via  via
	Name string
	// Place is the folder, Staged the name in it, of what is moved to Name.
	Place, Staged string
	Target        string
	Header        *tar.Header
	// Ino and Mode tell what is removed.
	Ino  uint64
	Mode uint32
}

// Graft brings a plan into a tree: first all that is new is made beside it, then all is moved to its place. Until
// Commit the tree stays as it is.
type Graft struct {
	root string
	plan *Plan
	// place returns the folder for what is moved to a name: on the same mounted file system.
	place func(name string) (string, error)

	makers  map[string]*release.Maker
	staged  map[string]act // by name
	count   int
	dropped map[string]bool // vanished before their content came
	refused map[string]int
}

// newGraft begins a graft. The folders that place returns must be empty.
func newGraft(root string, plan *Plan, place func(string) (string, error)) *Graft {
	return &Graft{root: root, plan: plan, place: place, makers: map[string]*release.Maker{}, staged: map[string]act{},
		dropped: map[string]bool{}, refused: map[string]int{}}
}

// Close lets go of all files; what was made stays in its folders.
func (g *Graft) Close() error {
	var all error
	for _, m := range g.makers {
		all = errors.Join(all, m.Close())
	}
	return all
}

// own makes all whose content need not come.
func (g *Graft) own(ctx context.Context) (err error) {
	dir, err := beneath.Open(g.root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	for _, s := range g.plan.Steps {
		switch s.via {
		case makeNode:
			err = g.stage(ctx, s.Name, s.want.Header, nil)
		case copyOwn:
			err = g.copy(ctx, dir, s)
		}
		if err != nil {
			return fmt.Errorf("make %s: %w", s.Name, err)
		}
	}
	return nil
}

// copy makes a file that has the content of the one in its place.
func (g *Graft) copy(ctx context.Context, dir *beneath.Dir, s Step) error {
	f, err := dir.File(s.Name)
	if err != nil {
		return err
	}
	defer f.Close()
	return g.stage(ctx, s.Name, s.want.Header, f)
}

// stage makes what is to be moved to a name. Made again, the later one counts.
func (g *Graft) stage(ctx context.Context, name string, hdr *tar.Header, content io.Reader) error {
	a, again := g.staged[name]
	if !again {
		place, err := g.place(name)
		if err != nil {
			return err
		}
		g.count++
		a = act{Via: fetch, Name: name, Place: place, Staged: strconv.Itoa(g.count)}
		g.staged[name] = a
	}
	m, err := g.maker(a.Place)
	if err != nil {
		return err
	}
	staged := *hdr
	staged.Name = a.Staged
	return m.Make(ctx, &staged, content)
}

func (g *Graft) maker(place string) (m *release.Maker, err error) {
	if m = g.makers[place]; m == nil {
		if m, err = release.NewMaker(place); err != nil {
			return nil, err
		}
		g.makers[place] = m
	}
	return m, nil
}

// Refused returns the attributes that the file system does not know, each with how many files go without it.
func (g *Graft) Refused() map[string]int {
	all := map[string]int{}
	for _, m := range g.makers {
		for name, n := range m.Refused() {
			all[name] += n
		}
	}
	for name, n := range g.refused {
		all[name] += n
	}
	return all
}

// acts returns what Commit does, in order: what goes does so last, as what uses it may still run, but for what is in the
// way of what comes.
func (g *Graft) acts() ([]act, error) {
	var inTheWay, dirs, moves, links, goes []act
	touched, replaced := map[string]bool{}, g.plan.replaced()
	for _, s := range g.plan.Steps {
		touched[parent(s.Name)] = true
		switch s.via {
		case remove:
			a := act{Via: remove, Name: s.Name, Ino: s.have.state.Ino, Mode: s.have.state.Mode}
			if replaced[s.Name] || below(replaced, s.Name) {
				inTheWay = append(inTheWay, a)
			} else {
				goes = append(goes, a)
			}
		case mount, makeDir:
			if s.Name != "." {
				dirs = append(dirs, act{Via: s.via, Name: s.Name})
			}
			touched[s.Name] = true
			if g.plan.dirs[s.Name] == nil {
				g.plan.dirs[s.Name] = s.want
			}
		case makeLink:
			if !g.dropped[s.want.Header.Linkname] {
				links = append(links, act{Via: makeLink, Name: s.Name, Target: s.want.Header.Linkname})
			}
		default:
			if a, ok := g.staged[s.Name]; ok && !g.dropped[s.Name] {
				moves = append(moves, a)
			}
		}
	}
	metadata, err := g.metadata(touched)
	return slices.Concat(inTheWay, dirs, moves, links, goes, metadata), err
}

// metadata gives the directories in which something is done what they shall have, or have: deep ones first.
func (g *Graft) metadata(touched map[string]bool) ([]act, error) {
	var all []act
	dir, err := beneath.Open(g.root)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	for _, name := range deepFirst(touched) {
		f := g.plan.dirs[name]
		if f == nil {
			if f, err = describe(g.root, dir, name); err != nil {
				return nil, err
			}
		}
		if f != nil && f.isDir() {
			all = append(all, act{Via: makeDir, Name: name, Header: headerOf(f, name)})
		}
	}
	return all, nil
}

const (
	actsFile = "acts"
	partFile = "acts.part"
)

// keep makes what was staged, and what is to be done with it, outlast a crash: from then on Resume ends what Commit
// began.
func keep(place string, acts []act) error {
	f, err := os.OpenFile(filepath.Join(place, partFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(gob.NewEncoder(f).Encode(acts), unix.Syncfs(int(f.Fd())), f.Close())
	if err != nil {
		return fmt.Errorf("keep what is to be done: %w", err)
	}
	if err := os.Rename(filepath.Join(place, partFile), filepath.Join(place, actsFile)); err != nil {
		return err
	}
	return durable.Sync(place)
}

// readActs returns what keep wrote; none when it did not.
func readActs(place string) (acts []act, err error) {
	f, err := os.Open(filepath.Join(place, actsFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := gob.NewDecoder(f).Decode(&acts); err != nil {
		return nil, fmt.Errorf("read what is to be done: %w", err)
	}
	return acts, nil
}

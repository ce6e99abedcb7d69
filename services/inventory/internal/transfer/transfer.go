// Package transfer makes the inventory what a blueprint says, and blueprints of the inventory.
package transfer

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/blueprint"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
)

// mostProblems is how many errors are told at once.
const mostProblems = 10

// nouns are those of a blueprint with names, those first that others refer to.
var nouns = []catalog.Noun{catalog.Network, catalog.Osimage, catalog.Bmcsetup, catalog.Switch, catalog.Otherdev, catalog.Group, catalog.Node}

// Options say how a blueprint is imported.
type Options struct {
	// Prune deletes what the blueprint does not name.
	Prune bool
	// Head has the directories of new osimages for which the blueprint says no head.
	Head string
}

// object is one object of the change.
type object struct {
	noun catalog.Noun
	name string
	// line is where the text says it; 0 for what follows from something else.
	line int
	// old is nil for a new one, now for one that goes.
	old, now proto.Message
	// wants are the addresses that the text gives.
	wants []want
}

// String names an object as errors do.
func (o *object) String() string {
	text := string(o.noun)
	if o.noun != catalog.Cluster {
		text += " " + blueprint.Word(o.name)
	}
	if o.line > 0 {
		text += fmt.Sprintf(" (line %d)", o.line)
	}
	return text
}

// plan is a change that is being made of a blueprint.
type plan struct {
	Options
	draft *change.Draft
	text  *blueprint.Blueprint
	// ids are those of what will be there, by noun and name.
	ids map[catalog.Noun]map[string]string
	// objects are those that the text says and those that follow from it; gone are the others with Prune.
	objects, gone []*object
	byID          map[string]*object
	problems      []error
	notes         []string
}

// Decide makes the inventory what a blueprint says: objects are found by name,
// and what is checked is how all of them would be together.
func Decide(d *change.Draft, b *blueprint.Blueprint, o Options) error {
	p := &plan{Options: o, draft: d, text: b, ids: map[catalog.Noun]map[string]string{}, byID: map[string]*object{}}
	for _, step := range []func() error{p.name, p.build, p.follow, p.place, p.check, p.write} {
		if err := step(); err != nil {
			return err
		}
		if err := p.trouble(); err != nil {
			return err
		}
	}
	return nil
}

// bad notes what is wrong with an object, and returns errors that are nobody's mistake.
func (p *plan) bad(o *object, err error) error {
	switch {
	case err == nil:
		return nil
	case fault.KindOf(err) == fault.Internal:
		return fmt.Errorf("%s: %w", o, err)
	}
	p.problems = append(p.problems, fault.New(fault.KindOf(err), "%s: %w", o, err))
	return nil
}

// trouble tells what was noted; its kind is that of the first.
func (p *plan) trouble() error {
	if len(p.problems) == 0 {
		return nil
	}
	var parts []string
	for _, err := range p.problems[:min(mostProblems, len(p.problems))] {
		parts = append(parts, err.Error())
	}
	if more := len(p.problems) - mostProblems; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return fault.New(fault.KindOf(p.problems[0]), "%s", strings.Join(parts, "; "))
}

// note keeps something to say of an object.
func (p *plan) note(o *object, format string, args ...any) {
	p.notes = append(p.notes, fmt.Sprintf("%s %s: ", o.noun, o.name)+fmt.Sprintf(format, args...))
}

// add puts an object into the change.
func (p *plan) add(o *object) {
	p.objects = append(p.objects, o)
	p.byID[idOf(o.now)] = o
}

// of returns the objects of a noun.
func (p *plan) of(noun catalog.Noun) []*object {
	return slices.DeleteFunc(slices.Clone(p.objects), func(o *object) bool { return o.noun != noun })
}

// group returns a group as it will be; nil when there will be none.
func (p *plan) group(id string) (*inventoryv1.Group, error) {
	if o := p.byID[id]; o != nil {
		return o.now.(*inventoryv1.Group), nil
	}
	return p.draft.Group(id)
}

type identified interface{ GetId() string }

func idOf(m proto.Message) string {
	if i, ok := m.(identified); ok {
		return i.GetId()
	}
	return ""
}

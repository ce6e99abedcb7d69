// Package run starts services, tells whether they are ready and stops them.
package run

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// Task is something that runs until its context ends.
type Task interface {
	// Run works until ctx ends, then finishes what it began; nil means a wanted end.
	Run(ctx context.Context) error
	// Ready is nil when the task does its work, else it says who or what is missing.
	Ready() error
	// String is the task's name.
	String() string
}

// Age tells how old a state is.
type Age struct {
	Stream   string    `json:"stream"`
	Revision uint64    `json:"revision"`
	Changed  time.Time `json:"changed"`
	// Checked is when the stream was last known to hold nothing newer.
	Checked time.Time `json:"checked"`
	Live    bool      `json:"live"`
	Trouble string    `json:"trouble,omitempty"`
}

// Ager is a task that keeps states.
type Ager interface{ Ages() []Age }

// Warner is a task that does its work and yet has something to tell an administrator.
type Warner interface{ Warnings() []string }

// Group is tasks that run together; the first error stops all.
type Group struct {
	name  string
	tasks []Task
}

// NewGroup returns a group of tasks.
func NewGroup(name string, tasks ...Task) *Group { return &Group{name: name, tasks: tasks} }

// Run runs all tasks and waits for all.
func (g *Group) Run(ctx context.Context) error {
	eg, ctx := errgroup.WithContext(ctx)
	for _, t := range g.tasks {
		eg.Go(func() error {
			if err := t.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
				return fmt.Errorf("%s: %w", t, err)
			}
			return nil
		})
	}
	return eg.Wait()
}

// Ready joins what the tasks say.
func (g *Group) Ready() error {
	var errs []error
	for _, t := range g.tasks {
		if err := t.Ready(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", t, err))
		}
	}
	return errors.Join(errs...)
}

// Ages returns the ages of all states in the group.
func (g *Group) Ages() []Age {
	var all []Age
	for _, t := range g.tasks {
		if a, ok := t.(Ager); ok {
			all = append(all, a.Ages()...)
		}
	}
	return all
}

// Warnings returns those of all tasks in the group.
func (g *Group) Warnings() []string {
	var all []string
	for _, t := range g.tasks {
		if w, ok := t.(Warner); ok {
			all = append(all, w.Warnings()...)
		}
	}
	return all
}

// String returns the group's name.
func (g *Group) String() string { return g.name }

// Func is a task made of a function.
type Func struct {
	Name string
	Do   func(ctx context.Context) error
	// Check may be nil: ready at once.
	Check func() error
}

// Run calls Do.
func (f Func) Run(ctx context.Context) error { return f.Do(ctx) }

// Ready calls Check.
func (f Func) Ready() error {
	if f.Check == nil {
		return nil
	}
	return f.Check()
}

// String returns the name.
func (f Func) String() string { return f.Name }

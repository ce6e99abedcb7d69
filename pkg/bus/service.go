package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
)

// Version is the version that services tell of themselves.
const Version = "2.0.0"

const (
	// workers is how many commands a service does at once; more wait in line.
	workers = 16
	// queue is how many commands may wait and be done; more are refused at once.
	queue = 4096
	// longest is how long a command may take, whatever its requester's clock says.
	longest = 10 * time.Minute
)

// Endpoint is one command that a service does.
type Endpoint struct {
	noun, verb string
	head       string // takes it on a subject of its own too; empty is none
	everywhere bool
	request    proto.Message
	reply      proto.Message
	dry        bool
	do         func(ctx context.Context, call Call, data []byte) (proto.Message, error)
}

// Handle makes an endpoint of a function. Requests are decoded strictly.
func Handle[Req proto.Message, Rep proto.Message](noun, verb string, do func(context.Context, Call, Req) (Rep, error)) Endpoint {
	var (
		zero  Req
		reply Rep
	)
	return Endpoint{noun: noun, verb: verb, request: zero, reply: reply, do: func(ctx context.Context, call Call, data []byte) (proto.Message, error) {
		req := zero.ProtoReflect().New().Interface().(Req)
		if err := wire.Command(data, req); err != nil {
			return nil, err
		}
		return do(ctx, call, req)
	}}
}

// Dry returns the endpoint as one whose function does nothing when the call is a
// dry run. Others refuse such calls.
func (e Endpoint) Dry() Endpoint {
	e.dry = true
	return e
}

// On returns the endpoint as one that is also reached on the subject of this head alone, for
// commands that only one head can do.
func (e Endpoint) On(head string) Endpoint {
	e.head = head
	return e
}

// Everywhere returns the endpoint as one that every head answers, each for itself; see Gather.
func (e Endpoint) Everywhere() Endpoint {
	e.everywhere = true
	return e
}

// Service answers the commands of one service as a NATS micro service.
type Service struct {
	conn      *Conn
	name      string
	about     string
	endpoints []Endpoint
	line      chan struct{} // holds something for each command that waits or is done
	slots     chan struct{} // holds something for each command that is done
	busy      sync.WaitGroup
	listening atomic.Bool // for all commands
}

// NewService returns a service that is not yet listening.
func NewService(c *Conn, name, about string, endpoints ...Endpoint) *Service {
	return &Service{conn: c, name: name, about: about, endpoints: endpoints,
		line: make(chan struct{}, queue), slots: make(chan struct{}, workers)}
}

// String returns the service's name.
func (s *Service) String() string { return "commands" }

// Ready says whether requests can arrive.
func (s *Service) Ready() error {
	if err := s.conn.Up(); err != nil {
		return err
	}
	if !s.listening.Load() {
		return errors.New("not all commands are listened for yet")
	}
	return nil
}

// Run answers until ctx ends, then finishes what was begun.
func (s *Service) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	svc, err := s.add()
	if err != nil {
		return err
	}
	for _, e := range s.endpoints {
		name, subj := e.noun+"-"+e.verb, subject.Command(s.name, e.noun, e.verb)
		err := s.listen(ctx, work, svc, e, name, subj)
		if err == nil && e.head != "" {
			err = s.listen(ctx, work, svc, e, name+"-"+e.head, subject.CommandOn(e.head, s.name, e.noun, e.verb))
		}
		if err != nil {
			return err
		}
	}
	if s.conn.Up() == nil {
		_ = s.conn.NATS.FlushTimeout(5 * time.Second) // a connection that is lost subscribes anew
	}
	s.listening.Store(true)
	<-ctx.Done()
	err = svc.Stop()
	s.busy.Wait()
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) && s.conn.Up() == nil {
		return fmt.Errorf("stop commands: %w", err)
	}
	return nil
}

func (s *Service) add() (micro.Service, error) {
	svc, err := micro.AddService(s.conn.NATS, micro.Config{
		Name: "luna-" + s.name, Version: Version, Description: s.about,
	})
	if err != nil {
		return nil, fmt.Errorf("add service %s: %w", s.name, err)
	}
	return svc, nil
}

// listen takes the commands of an endpoint while life lasts, and does them in work.
func (s *Service) listen(life, work context.Context, svc micro.Service, e Endpoint, name, subj string) error {
	next := make(chan struct{}, 1)
	together := micro.WithEndpointQueueGroup(micro.DefaultQueueGroup)
	if e.everywhere {
		together = micro.WithEndpointQueueGroupDisabled()
	}
	err := svc.AddEndpoint(name, micro.HandlerFunc(func(r micro.Request) {
		call := s.callOf(r)
		select {
		case s.line <- struct{}{}:
		default:
			s.refuse(r, call, fault.Unavailablef("not done: %d commands wait already; try again", queue))
			return
		}
		s.busy.Go(func() {
			defer func() { <-s.line }()
			s.wait(life, work, next, r, call, e)
		})
	}), together, micro.WithEndpointSubject(subj), micro.WithEndpointMetadata(e.metadata()))
	if err != nil {
		return fmt.Errorf("add endpoint %s: %w", subj, err)
	}
	return nil
}

// metadata is what `nats service info` tells of an endpoint.
func (e Endpoint) metadata() map[string]string {
	return map[string]string{
		"request": string(e.request.ProtoReflect().Descriptor().FullName()),
		"fields":  fieldList(e.request),
		"schema":  schemaText(e.request.ProtoReflect().Descriptor()),
		"reply":   string(e.reply.ProtoReflect().Descriptor().FullName()),
		"answers": fieldList(e.reply),
		"dry_run": strconv.FormatBool(e.dry),
	}
}

// fieldList names the fields of a message with their kinds.
func fieldList(m proto.Message) string {
	fields := m.ProtoReflect().Descriptor().Fields()
	names := make([]string, fields.Len())
	for i := range names {
		f := fields.Get(i)
		names[i] = string(f.Name()) + ":" + f.Kind().String()
		if f.IsList() {
			names[i] += "[]"
		}
	}
	return strings.Join(names, " ")
}

// wait does a command when it is its turn, or refuses it while its requester
// still listens: left in the line, it would end in a doubt. Of each endpoint
// one command waits for a slot, next says which, so that a thousand of one kind
// do not keep out the others.
func (s *Service) wait(life, work context.Context, next chan struct{}, r micro.Request, call Call, e Endpoint) {
	if !call.Deadline.IsZero() {
		var cancel context.CancelFunc
		life, cancel = InTime(life, call.Deadline)
		defer cancel()
	}
	err := take(life, next)
	if err == nil {
		err = take(life, s.slots)
		<-next
	}
	if err != nil {
		s.refuse(r, call, err)
		return
	}
	defer func() { <-s.slots }()
	s.answer(work, r, call, e)
}

// take waits for a place, at most until ctx ends.
func take(ctx context.Context, places chan struct{}) error {
	select {
	case places <- struct{}{}:
		return nil
	case <-ctx.Done():
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fault.Unavailablef("not done: earlier commands took until the deadline of this one; try again")
	}
	return fault.Unavailablef("not done: the service is stopping; try again")
}

// InTime returns a context that ends a little before a deadline, so that the
// requester can still be told what came of a command.
func InTime(ctx context.Context, deadline time.Time) (context.Context, context.CancelFunc) {
	left := time.Until(deadline)
	return context.WithTimeout(ctx, left-min(left/10, time.Second))
}

func (s *Service) answer(ctx context.Context, r micro.Request, call Call, e Endpoint) {
	rep, err := s.do(ctx, call, r.Data(), e)
	if err != nil {
		s.refuse(r, call, err)
		return
	}
	if r.Reply() == "" {
		return
	}
	data, err := wire.Marshal(rep)
	if most := s.conn.NATS.MaxPayload(); err == nil && int64(len(data)) > most {
		s.refuse(r, call, fault.Invalidf("%s was answered, but the answer has %d bytes, more than a message holds (%d): ask for less at once", call.Command, len(data), most))
		return
	}
	if err == nil {
		err = s.conn.NATS.Publish(r.Reply(), data)
	}
	if err != nil {
		s.conn.log.Error("reply not sent", "command", call.Command, "id", call.ID, "err", err)
	}
}

func (s *Service) do(ctx context.Context, call Call, data []byte, e Endpoint) (rep proto.Message, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in %s: %v", call.Command, p)
		}
	}()
	if call.DryRun && !e.dry {
		return nil, fault.Invalidf("%s cannot be tried without being done; nothing was done", call.Command)
	}
	if !call.Deadline.IsZero() {
		if time.Now().After(call.Deadline) {
			return nil, fault.Unavailablef("not done: the command arrived after its deadline %s", call.Deadline.Format(time.RFC3339))
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, call.Deadline)
		defer cancel()
	}
	return e.do(ctx, call, data)
}

func (s *Service) callOf(r micro.Request) Call {
	h := r.Headers()
	call := Call{
		ID: h.Get(HeaderCommandID), Author: h.Get(HeaderAuthor), Reason: h.Get(HeaderReason),
		DryRun: h.Get(HeaderDryRun) == "true", Command: subject.Words(r.Subject()),
	}
	if call.ID == "" {
		call.ID = NewID()
	}
	if t, err := time.Parse(time.RFC3339Nano, h.Get(HeaderDeadline)); err == nil {
		// From here on a jump of the clock changes nothing.
		call.Deadline = time.Now().Add(min(time.Until(t), longest))
	}
	return call
}

package bus

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/subject"
)

// longestText is how much of an error is told, in bytes: one that quotes a
// whole request would not fit into a message, and nobody would be told.
const longestText = 8 << 10

// refuse tells the requester, or the log subject when there is none.
func (s *Service) refuse(r micro.Request, call Call, err error) {
	kind, text := fault.KindOf(err), cut(fault.Public(err))
	if kind == fault.Internal || kind == fault.Unavailable {
		s.conn.log.Error("command failed", "command", call.Command, "id", call.ID, "err", err)
	}
	if r.Reply() == "" {
		s.conn.log.Warn("command refused", "command", call.Command, "id", call.ID, "kind", kind.String(), "err", err)
		text = fmt.Sprintf("%s %s: %s: %s", call.Command, call.ID, kind, text)
		if err := s.conn.NATS.Publish(subject.Refused(s.name), []byte(text)); err != nil {
			s.conn.log.Warn("refusal not published", "err", err)
		}
		return
	}
	// Not r.Error: micro looks at the request as soon as its handler returns,
	// while a worker may still be writing to it.
	// The text is the body too, for who asks with `nats req`.
	reply := &nats.Msg{Subject: r.Reply(), Header: nats.Header{}, Data: []byte(text)}
	reply.Header.Set(micro.ErrorHeader, text)
	reply.Header.Set(micro.ErrorCodeHeader, strconv.Itoa(kind.Code()))
	if err := s.conn.NATS.PublishMsg(reply); err != nil {
		s.conn.log.Error("refusal not sent", "command", call.Command, "err", err)
	}
}

// cut shortens a text that is too long to be told.
func cut(text string) string {
	if len(text) <= longestText {
		return text
	}
	return fmt.Sprintf("%s … (%d bytes more)", strings.ToValidUTF8(text[:longestText], ""), len(text)-longestText)
}

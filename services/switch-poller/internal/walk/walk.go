package walk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gosnmp/gosnmp"

	"github.com/luna-hpc/luna/services/switch-poller/internal/fdb"
)

// longestError is how much of an answer's fault is worth telling.
const longestError = 200

// errEnd says that a table was read to its end.
var errEnd = errors.New("end of the table")

// Walk reads a table (RFC 3416, GetBulk). It fails when an answer is an error or does not lead on, and when there are more
// rows than the limit; rows that were read before stay with do. gosnmp's own walk takes some errors for the table's end.
func (s *Session) Walk(ctx context.Context, table string, do func(fdb.Row)) error {
	root, err := parseOID(table)
	if err != nil {
		return err
	}
	at, rows, repetitions := root, 0, s.limits.Repetitions
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("read %s: %w", table, err)
		}
		answer, err := s.client.GetBulk([]string{formatOID(at)}, 0, repetitions)
		if err == nil && answer.Error == gosnmp.TooBig && repetitions > 1 {
			repetitions /= 2
			continue
		}
		if err == nil {
			err = check(answer)
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", table, brief(ctx, err))
		}
		for _, v := range answer.Variables {
			if at, err = take(v, root, at, do); err != nil {
				break
			}
			if rows++; rows > s.limits.Rows {
				err = fmt.Errorf("there are more than %d rows", s.limits.Rows)
				break
			}
		}
		switch {
		case errors.Is(err, errEnd):
			return nil
		case err != nil:
			return fmt.Errorf("read %s: %w", table, err)
		}
	}
}

// check refuses answers that are none.
func check(p *gosnmp.SnmpPacket) error {
	switch {
	case p.PDUType != gosnmp.GetResponse:
		return errors.New("the answer is no response")
	case p.Error != gosnmp.NoError:
		return fmt.Errorf("the switch says %s", p.Error)
	case len(p.Variables) == 0:
		return errors.New("the answer is empty")
	}
	return nil
}

// take gives one value to do and returns where it stands; errEnd behind the last one.
func take(v gosnmp.SnmpPDU, root, at []uint32, do func(fdb.Row)) ([]uint32, error) {
	switch v.Type {
	case gosnmp.EndOfMibView, gosnmp.NoSuchObject, gosnmp.NoSuchInstance:
		return at, errEnd
	}
	oid, err := parseOID(v.Name)
	switch {
	case err != nil:
		return at, err
	case slices.Compare(oid, at) <= 0:
		return at, fmt.Errorf("the answer goes back from %s to %s", formatOID(at), formatOID(oid))
	case len(oid) <= len(root) || !slices.Equal(oid[:len(root)], root):
		return at, errEnd
	}
	do(fdb.Row{Index: oid[len(root):], Value: v.Value})
	return oid, nil
}

// parseOID reads numbers with dots between them, at most 128 (RFC 2578, 7.1.3).
func parseOID(s string) ([]uint32, error) {
	parts := strings.Split(strings.TrimPrefix(s, "."), ".")
	if len(parts) < 2 || len(parts) > 128 {
		return nil, fmt.Errorf("%.100q is no OID", s)
	}
	oid := make([]uint32, len(parts))
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%.100q is no OID", s)
		}
		oid[i] = uint32(n)
	}
	return oid, nil
}

func formatOID(oid []uint32) string {
	var b strings.Builder
	for _, n := range oid {
		b.WriteByte('.')
		b.WriteString(strconv.FormatUint(uint64(n), 10))
	}
	return b.String()
}

// brief makes one short line of an error; gosnmp's may hold packets and stacks. A session that was cut says why.
func brief(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil {
		return cause
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	if len(text) == len(err.Error()) && len(text) <= longestError {
		return err
	}
	return errors.New(strings.ToValidUTF8(text[:min(len(text), longestError)], ""))
}

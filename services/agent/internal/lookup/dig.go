package lookup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// question is one command line of dig.
type question struct {
	name, server, port string
	kind               uint16
	short              bool
	resolver           Resolver
}

// Dig does what dig does with args: a name, a type, -x ADDRESS, -t TYPE,
// -p PORT, @SERVER, +short, +time=S, +tries=N. It returns dig's exit status:
// 0 for any answer, 1 for wrong usage, 9 when nobody answers.
func (r Resolver) Dig(ctx context.Context, args []string, out, errOut io.Writer) int {
	q, err := r.parse(args)
	if err != nil {
		fmt.Fprintln(errOut, "dig:", err)
		return 1
	}
	servers, _, err := r.servers(ctx, q.server, q.port)
	if err != nil {
		fmt.Fprintln(errOut, "dig:", err)
		return 10
	}
	a, err := q.resolver.ask(ctx, servers, q.name, q.kind)
	if err != nil {
		fmt.Fprintln(out, ";;", err)
		return 9
	}
	if q.short {
		for _, rr := range a.Answer {
			fmt.Fprintln(out, data(rr))
		}
		return 0
	}
	fmt.Fprintf(out, "%s\n;; Query time: %d msec\n;; SERVER: %s\n", a.Msg, a.took.Milliseconds(), a.server)
	return 0
}

func (r Resolver) parse(args []string) (question, error) {
	q := question{port: "53", kind: dns.TypeA, resolver: r}
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		var err error
		switch {
		case word == "-x" || word == "-t" || word == "-p":
			if len(args) == 0 {
				return q, fmt.Errorf("%s needs a value", word)
			}
			err = q.flag(word, args[0])
			args = args[1:]
		case strings.HasPrefix(word, "+"):
			err = q.plus(word[1:])
		case strings.HasPrefix(word, "@"):
			q.server = word[1:]
		case strings.HasPrefix(word, "-"):
			err = fmt.Errorf("option %s is not among those that this dig has", word)
		default:
			err = q.word(word)
		}
		if err != nil {
			return q, err
		}
	}
	if q.name == "" {
		q.name, q.kind = ".", dns.TypeNS
	}
	return q, nil
}

func (q *question) flag(flag, value string) (err error) {
	switch flag {
	case "-x":
		q.kind = dns.TypePTR
		q.name, err = reverse(value)
	case "-p":
		q.port = value
		_, err = strconv.ParseUint(value, 10, 16)
	case "-t":
		k, ok := kind(value)
		if !ok {
			return fmt.Errorf("unknown type %s", value)
		}
		q.kind = k
	}
	return err
}

func (q *question) plus(word string) error {
	key, value, _ := strings.Cut(word, "=")
	switch key {
	case "short":
		q.short = true
		return nil
	case "time", "timeout", "tries":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > 3600 {
			return fmt.Errorf("+%s is no number of 1 or more", word)
		}
		if key == "tries" {
			q.resolver.Tries = n
		} else {
			q.resolver.Timeout = time.Duration(n) * time.Second
		}
		return nil
	}
	return fmt.Errorf("option +%s is not among those that this dig has", word)
}

// word takes a type when it is one and no name can be meant by it.
func (q *question) word(word string) error {
	k, isKind := kind(word)
	switch {
	case isKind:
		q.kind = k
	case strings.EqualFold(word, "IN"):
	case q.name != "":
		return errors.New("this dig takes one name at a time")
	default:
		if _, ok := dns.IsDomainName(word); !ok {
			return fmt.Errorf("'%s' is not a legal name", word)
		}
		q.name = word
	}
	return nil
}

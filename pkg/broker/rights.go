package broker

import (
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/luna-hpc/luna/pkg/bus"
)

// replyTime is how long a service may take to answer a command.
const replyTime = 10 * time.Minute

// users returns the server's users with their rights.
func users(public map[string]string) []*server.NkeyUser {
	all := make([]*server.NkeyUser, 0, len(public))
	for _, r := range bus.Rights() {
		all = append(all, &server.NkeyUser{Nkey: public[r.User], Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: r.Publish},
			Subscribe: &server.SubjectPermission{Allow: r.Subscribe},
			Response:  &server.ResponsePermission{MaxMsgs: 1, Expires: replyTime},
		}})
	}
	return all
}

// RightsConf returns the rights as server configuration; the keys stand in
// variables that KeysConf defines.
func RightsConf() string {
	var b strings.Builder
	b.WriteString("# Rights of every user of the bus. Made by `make rights` from pkg/bus/rights.go.\ninclude \"keys.conf\"\n\nauthorization {\n  users: [\n")
	for _, r := range bus.Rights() {
		fmt.Fprintf(&b, "    { # %s\n      nkey: $%s\n      permissions {\n", r.User, variable(r.User))
		writeList(&b, "publish", r.Publish)
		writeList(&b, "subscribe", r.Subscribe)
		fmt.Fprintf(&b, "        allow_responses: { max: 1, expires: %q }\n      }\n    }\n", replyTime)
	}
	b.WriteString("  ]\n}\n")
	return b.String()
}

func writeList(b *strings.Builder, what string, subjects []string) {
	fmt.Fprintf(b, "        %s: { allow: [\n", what)
	for _, s := range subjects {
		fmt.Fprintf(b, "          %q\n", s)
	}
	b.WriteString("        ] }\n")
}

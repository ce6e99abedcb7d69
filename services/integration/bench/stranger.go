package bench

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/integration/room"
)

// strangers changes the address of the node whose MAC the client's card has and asks foreign programs for it: they
// must get what the clients of this package get. How long they take is that of their own start.
func (s *site) strangers(ctx context.Context, c *column) error {
	begun := time.Now()
	if _, err := s.head.Luna(ctx, "node", "list", "--one_line"); err != nil {
		return err
	}
	c.add("list all nodes: the program luna", 0, time.Since(begun))
	address := s.nextAddress()
	if _, _, err := s.do(ctx, "node", "change", &inventoryv1.NodeChangeRequest{Name: s.names[0], Ip: address}); err != nil {
		return err
	}
	leases, pid := filepath.Join(s.dir, "dhclient.leases"), filepath.Join(s.dir, "dhclient.pid")
	dhclient := []string{"-4", "-1", "-sf", "/bin/true", "-lf", leases, "-pf", pid, "eth0"}
	script := "http://" + headAddress + ":7050/luna?step=discovery&hwdata=" + url.QueryEscape("PC|"+clientMAC.String())
	for _, one := range []struct {
		program string
		args    []string
		want    string
		read    string // a file that the program writes; "" is its output
	}{
		{"dig", []string{"@" + headAddress, "+short", s.names[0] + ".cluster"}, address + "\n", ""},
		{"curl", []string{"-sS", "--max-time", "10", script}, "luna.ip=" + address + "/16 ", ""},
		{"dhclient", dhclient, "fixed-address " + address + ";", leases},
	} {
		err := until(ctx, look, func() error { return s.ask(ctx, one.program, one.args, one.want, one.read) })
		if err != nil {
			return err
		}
	}
	_, err := room.Output(s.client.Command(ctx, "dhclient", append([]string{"-x"}, dhclient...)...))
	return err
}

// ask runs a program at the client and looks for what it must say.
func (s *site) ask(ctx context.Context, program string, args []string, want, read string) error {
	text, err := room.Output(s.client.Command(ctx, program, args...))
	if err != nil {
		return err
	}
	if read != "" {
		data, err := os.ReadFile(read)
		if err != nil {
			return err
		}
		text = string(data)
	}
	if !strings.Contains(text, want) {
		return fmt.Errorf("%s says nothing of %q: %s", program, want, text)
	}
	return nil
}

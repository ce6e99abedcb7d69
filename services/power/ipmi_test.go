package power

import (
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/subject"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	jobv1 "github.com/luna-hpc/luna/proto/job/v1"
	powerv1 "github.com/luna-hpc/luna/proto/power/v1"
	"github.com/luna-hpc/luna/services/power/bmctest"
)

// bmcs starts n controllers.
func bmcs(t *testing.T, n int) (all []*bmctest.BMC, addresses []string) {
	t.Helper()
	for i := range n {
		b := bmctest.Start(t, bmctest.Address(i), user, password)
		all, addresses = append(all, b), append(addresses, b.Address)
	}
	return all, addresses
}

// TestMachinesAreSwitchedOverIPMI runs with no more rights than power has on a head.
func TestMachinesAreSwitchedOverIPMI(t *testing.T) {
	bmc, addresses := bmcs(t, 3)
	r := newRack(t, Default())
	r.compute("ipmi", addresses...)

	r.want(r.do("status", "node[001-003]"), "node001: off\nnode002: off\nnode003: off")
	r.want(r.do("on", "node[001-002]"), "node001: switched on\nnode002: switched on")
	if bmc[0].Machine() == 0 || bmc[1].Machine() == 0 || bmc[2].Machine() != 0 {
		t.Error("the wrong machines are on")
	}
	r.want(r.do("status", "node[001-003]"), "node001: on\nnode002: on\nnode003: off")
	if got := bmc[0].Ipmitool("power", "status") + bmc[2].Ipmitool("power", "status"); got != "Chassis Power is onChassis Power is off" {
		t.Error(got)
	}

	first, second := bmc[0].Machine(), bmc[1].Machine()
	r.want(r.do("reset", "node001,node003"), "node001: reset\nnode003: not done: it is off, and reset needs it on: luna power NODE on (conflict)")
	bmc[0].Until("it starts again", func() bool { m := bmc[0].Machine(); return m != 0 && m != first })
	if bmc[1].Machine() != second || bmc[2].Machine() != 0 {
		t.Error("another machine was reset or switched on")
	}
	r.want(r.do("cycle", "node[002-003]"), "node002: switched off and on\nnode003: not done: it is off, and cycle needs it on: luna power NODE on (conflict)")
	bmc[1].Until("it is on again", func() bool { m := bmc[1].Machine(); return m != 0 && m != second })

	r.want(r.do("identify", "node003"), "node003: light on")
	if bmc[2].Light() != "0 1" {
		t.Errorf("light: %q", bmc[2].Light())
	}
	r.want(r.do("noidentify", "node003"), "node003: light off")
	if bmc[2].Light() != "0 0" {
		t.Errorf("light: %q", bmc[2].Light())
	}
	r.want(r.do("off", "node[001-003]"), "node001: switched off\nnode002: switched off\nnode003: switched off")
	if bmc[0].Machine() != 0 || bmc[1].Machine() != 0 || bmc[1].Ipmitool("power", "status") != "Chassis Power is off" {
		t.Error("a machine is still on")
	}
}

func TestADeadBMCDelaysNobody(t *testing.T) {
	bmc, addresses := bmcs(t, 3)
	cfg := Default()
	cfg.Timeout = 4 * time.Second
	r := newRack(t, cfg)
	heard := bmctest.Dead(t, bmctest.Address(9), bmctest.Port)
	r.compute("ipmi", append([]string{bmctest.Address(9)}, addresses...)...)
	id, err := r.begin("on", &powerv1.PowerRequest{Group: "compute"})
	if err != nil {
		t.Fatal(err)
	}
	j := r.job(id)
	if last := j.Results[len(j.Results)-1]; len(j.Results) != 4 || last.Name != "node001" {
		t.Fatalf("the dead one, asked first, did not answer last:\n%s", text(j.Results))
	}
	r.want(text(j.Results[3:]), "node001: not done: the controller does not answer (unavailable)")
	for _, b := range bmc {
		if b.Machine() == 0 {
			t.Errorf("%s is off", b.Address)
		}
	}
	if heard() < 2 {
		t.Error("a lost packet is not sent again")
	}
	r.want(r.do("status", "node002"), "node002: on")
	free := bmctest.Address(10) // the machine is there, nobody listens
	r.compute("ipmi", free)
	r.want(r.do("status", "node001"), "node001: not done: nothing listens for IPMI at the controller's address (unavailable)")
}

func TestAWrongPasswordIsSaidAndNotTold(t *testing.T) {
	bmc, addresses := bmcs(t, 1)
	r := newRack(t, Default())
	r.compute("ipmi", addresses...)
	r.seal("P2", another)
	setup := &inventoryv1.Bmcsetup{Id: "B1", Name: "base", User: user, PasswordId: "P2", Protocol: "ipmi"}
	r.put(setup)
	r.want(r.do("on", "node001"), "node001: not done: the controller refuses user ladmin with this password: luna bmcsetup change base --user USER --password PASSWORD (conflict)")
	setup.User, setup.PasswordId = "nobody", "P1"
	r.put(setup)
	r.want(r.do("on", "node001"), "node001: not done: the controller refuses user nobody with this password: luna bmcsetup change base --user USER --password PASSWORD (conflict)")
	if bmc[0].Machine() != 0 {
		t.Error("it was switched on")
	}
	setup.User, setup.PasswordId = user, "P1"
	r.put(setup)
	r.want(r.do("on", "node001"), "node001: switched on")
}

func TestACommandThatIsSentAgainIsDoneOnce(t *testing.T) {
	bmc, addresses := bmcs(t, 1)
	r := newRack(t, Default())
	r.compute("ipmi", addresses...)
	r.do("on", "node001")
	again := bus.WithCall(r.ctx, bus.Call{ID: bus.NewID()})
	var ids []string
	var machine int
	for range 2 {
		rep, err := bus.Request(again, r.operator, subject.Command(Name, "node", "reset"), &powerv1.PowerRequest{All: true}, &jobv1.JobReply{})
		if err != nil {
			t.Fatal(err)
		}
		r.want(text(r.job(rep.JobId).Results), "node001: reset")
		if ids = append(ids, rep.JobId); machine == 0 {
			machine = bmc[0].Machine()
		}
	}
	if ids[0] != ids[1] || bmc[0].Machine() != machine {
		t.Errorf("two jobs %q; process %d, then %d", ids, machine, bmc[0].Machine())
	}
}

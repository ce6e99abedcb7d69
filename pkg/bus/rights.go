package bus

import (
	"github.com/luna-hpc/luna/pkg/subject"
)

// Right is what a user of the bus may publish and subscribe to.
type Right struct {
	User      string
	Publish   []string
	Subscribe []string
}

// need says what a service does on the bus; its right follows from it.
type need struct {
	user string
	// folds are the streams that the service may read.
	folds []string
	// events are what it publishes.
	events []string
	// commands are what it sends to others.
	commands []string
	// reads and writes are its buckets.
	reads, writes []string
	// answers says that it takes commands.
	answers bool
}

var needs = []need{
	{user: "inventory", folds: []string{subject.Inventory}, answers: true,
		events: []string{subject.AllInventory, subject.AllSecrets}, writes: []string{subject.Inputs}},
	{user: "image-packer", folds: []string{subject.Inventory, subject.Images}, answers: true,
		events: []string{subject.AllReleases, subject.Job("image-packer", "*")},
		// What only another head can do is sent on to it.
		// It asks for the host keys that nodes have told.
		commands: []string{subject.Commands("inventory"), subject.Commands("image-packer"), subject.Command("bootscript", "hardware", "show")}, writes: []string{subject.Files, subject.Inputs}},
	{user: "torrent-seeder", folds: []string{subject.Inventory, subject.Images}, reads: []string{subject.Files}, answers: true},
	{user: "dhcp", folds: []string{subject.Inventory, subject.Seen}, events: []string{subject.AllLeases}, answers: true, writes: []string{subject.Inputs}},
	{user: "dns", folds: []string{subject.Inventory}, answers: true},
	{user: "bootscript", folds: []string{subject.Inventory, subject.Images, subject.Seen, subject.Boots, subject.Hardware, subject.Secrets}, answers: true,
		events:   []string{subject.AllSteps, subject.AllUnknown, subject.AllHardware},
		commands: []string{subject.Commands("inventory")}, reads: []string{subject.Files}, writes: []string{subject.Inputs}},
	{user: "switch-poller", folds: []string{subject.Inventory, subject.Secrets, subject.Seen}, events: []string{subject.AllSwitch}, answers: true},
	{user: "power", folds: []string{subject.Inventory, subject.Secrets}, events: []string{subject.Job("power", "*")}, answers: true},
}

// Rights returns the users of the bus with their rights.
func Rights() []Right {
	rights := []Right{
		// It makes streams, and copies and restores them whole.
		{User: "setup", Publish: []string{"$JS.API.>", "$JS.SNAPSHOT.ACK.>", "$JS.SNAPSHOT.RESTORE.>"}, Subscribe: []string{subject.Inbox("setup") + ".>"}},
		operator(),
	}
	for _, n := range needs {
		rights = append(rights, n.right())
	}
	return rights
}

// operator may send every command, put down big inputs and read every stream but SECRETS.
func operator() Right {
	r := Right{User: "operator",
		Publish:   []string{subject.AllCommands, "$SRV.>", "$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST"},
		Subscribe: []string{subject.Inbox("operator") + ".>", "_INBOX.>", subject.AllJobs, subject.AllLogs, subject.Own("inventory"), subject.Own("image-packer"), subject.Own("dhcp"), subject.Own("switch-poller"), subject.Own("bootscript")}}
	for _, s := range []string{subject.Inventory, subject.Images, subject.Seen, subject.Boots, subject.Hardware, subject.Jobs} {
		r.Publish = append(r.Publish, reading(s)...)
	}
	for _, b := range []string{subject.Files, subject.Inputs} {
		r.Publish = append(r.Publish, reading("OBJ_"+b)...)
	}
	r.Publish = append(r.Publish, writing(subject.Inputs)...)
	return r
}

// writing is what a writer of a bucket sends beside what a reader does.
func writing(bucket string) []string {
	return []string{"$O." + bucket + ".>", "$JS.API.STREAM.PURGE.OBJ_" + bucket}
}

func (n need) right() Right {
	r := Right{User: n.user, Subscribe: []string{subject.Inbox(n.user) + ".>"}}
	if n.answers {
		r.Subscribe = append(r.Subscribe, subject.Commands(n.user), "$SRV.>")
		r.Publish = append(r.Publish, subject.Refused(n.user))
	}
	r.Publish = append(r.Publish, n.events...)
	r.Publish = append(r.Publish, n.commands...)
	for _, s := range n.folds {
		r.Publish = append(r.Publish, reading(s)...)
	}
	for _, b := range append(n.reads, n.writes...) {
		r.Publish = append(r.Publish, reading("OBJ_"+b)...)
	}
	for _, b := range n.writes {
		r.Publish = append(r.Publish, writing(b)...)
	}
	if n.user == "inventory" {
		// It lists and takes away secrets, and takes away the hardware of nodes that are gone; it reads neither.
		r.Publish = append(r.Publish, "$JS.API.STREAM.PURGE."+subject.Inventory)
		for _, s := range []string{subject.Secrets, subject.Hardware} {
			r.Publish = append(r.Publish, "$JS.API.STREAM.INFO."+s, "$JS.API.STREAM.PURGE."+s)
		}
	}
	return r
}

// reading is what a follower of a stream sends to JetStream.
func reading(stream string) []string {
	return []string{
		"$JS.API.STREAM.INFO." + stream,
		"$JS.API.STREAM.MSG.GET." + stream,
		"$JS.API.DIRECT.GET." + stream,
		"$JS.API.DIRECT.GET." + stream + ".>",
		"$JS.API.CONSUMER.CREATE." + stream + ".>",
		"$JS.API.CONSUMER.INFO." + stream + ".*",
		"$JS.API.CONSUMER.DELETE." + stream + ".*",
		"$JS.API.CONSUMER.MSG.NEXT." + stream + ".*",
		"$JS.FC." + stream + ".>",
	}
}

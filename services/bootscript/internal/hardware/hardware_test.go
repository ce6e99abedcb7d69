package hardware

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/pkg/wire"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
)

const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKtDTYo0SPKWnx4CXV0A7HlDvxRNzfR4mXn4vnTV6f0C"

const crate = `{"node_id":"somebody","time":"yesterday","boot_id":"01JT0000000000000000000000","vendor":"Luna Works","product":"PX-2","serial":"S1",
"firmware":"bios","firmware_version":"1.2","cpu_model":"Fast 9","cpu_sockets":2,"cpu_cores":4,"cpu_threads":8,"memory_bytes":"68719476736","later":{"x":1},
"disks":[{"name":"sdb","path":"pci-2","bytes":"1920383410176","model":"DISK","serial":"123"},{"name":"sda","path":"pci-1","bytes":"480103981056","rotational":true}],
"nics":[{"name":"ens3","mac":"52-54-00-00-00-0A","driver":"e1000e","speed":10000,"link":true,"address":"0000:00:03.0"}],
"bmc":{"address":"10.50.0.1","mac":"52:54:00:00:00:99","firmware_version":"1.73","manufacturer":"DELL"},
"host_keys":["` + key + ` root@builder"],"installed":true}`

func parse(t *testing.T, text string) *bootscriptv1.Hardware {
	t.Helper()
	h, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestParsePutsInOrder(t *testing.T) {
	h := parse(t, crate)
	if h.NodeId != "" || h.Time != "" || h.Nics[0].Mac != "52:54:00:00:00:0a" || h.Disks[0].Name != "sda" || !slices.Equal(h.HostKeys, []string{key}) || !h.Installed {
		t.Errorf("%v", h)
	}
}

func TestReportsThatAreRefused(t *testing.T) {
	swap := func(old, new string) string {
		if !strings.Contains(crate, old) {
			t.Fatal(old)
		}
		return strings.Replace(crate, old, new, 1)
	}
	many := func(n int, one string) string { return strings.TrimSuffix(strings.Repeat(one+",", n), ",") }
	for name, bad := range map[string]string{
		"nothing": ``, "half": crate[:100], "a list": `[]`, "not UTF-8": swap("Luna Works", "\xff"),
		"a line's end": swap("Luna Works", `a\nb`), "an escape": swap("PX-2", `\u001b[2J`), "text that runs backwards": swap("DISK", `\u202e`),
		"a long text": swap("PX-2", strings.Repeat("x", maxText+1)), "boot id": swap("01JT0000000000000000000000", "x"),
		"firmware": swap(`"bios"`, `"dos"`), "MAC": swap("52-54-00-00-00-0A", "52-54"), "BMC's MAC": swap("52:54:00:00:00:99", "x"), "BMC's address": swap("10.50.0.1", "10.50"),
		"many disks": `{"disks":[` + many(maxParts+1, `{}`) + `]}`, "many cards": `{"nics":[` + many(maxParts+1, `{}`) + `]}`,
		"many keys":  `{"host_keys":[` + many(maxKeys+1, `"`+key+`"`) + `]}`,
		"a negative": swap(`"cpu_sockets":2`, `"cpu_sockets":-2`), "big": crate + strings.Repeat(" ", MaxReport),
		"a key of another type": swap("ssh-ed25519 ", "ssh-rsa "), "a key with options": swap("ssh-ed25519 ", `@cert-authority * ssh-ed25519 `),
		"no base64": swap("AAAAC3NzaC1lZDI1NTE5AAAA", "????"), "a type alone": swap(key[11:], ""), "two lines": swap(" root@builder", `\n* `+key+`" ,"`+"x"),
		"a certificate": swap("ssh-ed25519 ", "ssh-ed25519-cert-v01@openssh.com "),
	} {
		if h, err := Parse([]byte(bad)); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v, %v", name, h, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(crate))
	f.Add([]byte(`{"disks":[{}],"nics":[{"mac":"00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00"}],"bmc":{}}`))
	f.Add([]byte(`{"host_keys":["` + key + `"]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := Parse(data)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatal(err)
			}
			return
		}
		again, err := wire.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		twice, err := Parse(again)
		if err != nil || !proto.Equal(h, twice) {
			t.Fatalf("%v\nis not\n%v, %v", h, twice, err)
		}
		if r := next(&bootscriptv1.HardwareRecord{Now: h}, twice); r != nil {
			t.Fatalf("differs from itself: %v", r)
		}
		for _, line := range append(KnownHosts([]string{"node001"}, h.HostKeys), Changes(&bootscriptv1.Hardware{}, h)...) {
			if strings.ContainsAny(line, "\n\r\x1b") {
				t.Fatalf("%q", line)
			}
		}
	})
}

func TestChanges(t *testing.T) {
	before := parse(t, crate)
	for name, c := range map[string]struct {
		change func(h *bootscriptv1.Hardware)
		want   string
	}{
		"nothing":          {func(*bootscriptv1.Hardware) {}, ""},
		"a disk's gone":    {func(h *bootscriptv1.Hardware) { h.Disks = h.Disks[:1] }, "disk sdb (SN 123) is gone"},
		"half the memory":  {func(h *bootscriptv1.Hardware) { h.MemoryBytes /= 2 }, "memory 64 GiB → 32 GiB"},
		"other firmware":   {func(h *bootscriptv1.Hardware) { h.FirmwareVersion = "1.3" }, "BIOS 1.2 → 1.3"},
		"other kind":       {func(h *bootscriptv1.Hardware) { h.Firmware = "uefi" }, "firmware kind BIOS → UEFI"},
		"one socket":       {func(h *bootscriptv1.Hardware) { h.CpuSockets, h.CpuCores, h.CpuThreads = 1, 2, 4 }, "sockets 2 → 1; cores 4 → 2; threads 8 → 4"},
		"names swapped":    {func(h *bootscriptv1.Hardware) { h.Disks[0].Name, h.Disks[1].Name = "sdb", "sda" }, ""},
		"another disk":     {func(h *bootscriptv1.Hardware) { h.Disks[1].Serial = "124" }, "disk sdb (SN 123) is gone; disk sdb (SN 124) is new: 1.92 TB DISK"},
		"a disk moved":     {func(h *bootscriptv1.Hardware) { h.Disks[1].Path = "pci-0" }, "disk sdb (SN 123) place pci-2 → pci-0"},
		"same serial":      {func(h *bootscriptv1.Hardware) { h.Disks = append(h.Disks, h.Disks[1]) }, "disk sdb (SN 123) is new: 1.92 TB DISK"},
		"a card's gone":    {func(h *bootscriptv1.Hardware) { h.Nics = nil }, "card ens3 (52:54:00:00:00:0a) is gone"},
		"a new card":       {func(h *bootscriptv1.Hardware) { h.Nics[0].Mac = "52:54:00:00:00:0b" }, "card ens3 (52:54:00:00:00:0a) is gone; card ens3 (52:54:00:00:00:0b) is new: e1000e 0000:00:03.0"},
		"a cable's out":    {func(h *bootscriptv1.Hardware) { h.Nics[0].Link, h.Nics[0].Speed = false, 0 }, "card ens3 (52:54:00:00:00:0a) has no link any more"},
		"slower":           {func(h *bootscriptv1.Hardware) { h.Nics[0].Speed = 2500 }, "card ens3 (52:54:00:00:00:0a) speed 10 Gbit/s → 2.5 Gbit/s"},
		"BMC moved":        {func(h *bootscriptv1.Hardware) { h.Bmc.Address = "" }, "BMC address 10.50.0.1 → nothing"},
		"BMC's away":       {func(h *bootscriptv1.Hardware) { h.Bmc = nil }, "the BMC does not answer any more"},
		"other keys":       {func(h *bootscriptv1.Hardware) { h.HostKeys[0] = "ssh-rsa x" }, "the ssh host keys are others"},
		"keys are no more": {func(h *bootscriptv1.Hardware) { h.HostKeys = nil }, "the ssh host keys are gone"},
	} {
		now := proto.CloneOf(before)
		c.change(now)
		if got := strings.Join(Changes(before, now), "; "); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
		if (c.want == "") != same(before, now) {
			t.Errorf("%s: the same machine: %t", name, same(before, now))
		}
	}
	if got := Changes(nil, before); got != nil {
		t.Errorf("the first report differs: %v", got)
	}
}

// TestNext goes through the reports of some boots.
func TestNext(t *testing.T) {
	var known *bootscriptv1.HardwareRecord
	tell := func(boot string, change func(h *bootscriptv1.Hardware)) bool {
		h := parse(t, crate)
		h.BootId, h.Installed, h.HostKeys = boot, false, nil
		change(h)
		r := next(known, h)
		if r != nil {
			known = r
		}
		return r != nil
	}
	installed := func(memory uint64, keys ...string) func(h *bootscriptv1.Hardware) {
		return func(h *bootscriptv1.Hardware) { h.Installed, h.HostKeys, h.MemoryBytes = true, keys, memory }
	}
	plain := func(memory uint64) func(h *bootscriptv1.Hardware) {
		return func(h *bootscriptv1.Hardware) { h.MemoryBytes = memory }
	}
	is := func(what string, told bool, before uint64, keys string) {
		t.Helper()
		if !told || known.Before.GetMemoryBytes() != before || strings.Join(known.Now.HostKeys, ",") != keys {
			t.Fatalf("%s: kept %t, %v", what, told, known)
		}
	}
	is("first", tell("A", plain(64)), 0, "")
	is("its keys", tell("A", installed(64, "k")), 0, "k")
	if tell("B", plain(64)) || tell("B", installed(64, "k")) {
		t.Fatal("the same is kept again")
	}
	is("less memory", tell("C", plain(32)), 64, "k")
	is("in the same boot, other keys", tell("C", installed(32, "l")), 64, "l")
	if known.Told != 2 {
		t.Errorf("told %d times", known.Told)
	}
	is("no keys any more", tell("D", installed(32)), 32, "")
	if got := Changes(known.Before, known.Now); len(got) != 1 || got[0] != "the ssh host keys are gone" {
		t.Error(got)
	}
}

// TestKnownHostsOfSSH has ssh's own program find the keys.
func TestKnownHostsOfSSH(t *testing.T) {
	keygen := testenv.Program(t, "ssh-keygen")
	dir := t.TempDir()
	var pub []string
	for _, kind := range []string{"ed25519", "rsa", "ecdsa"} {
		file := filepath.Join(dir, kind)
		if out, err := exec.CommandContext(t.Context(), keygen, "-q", "-t", kind, "-N", "", "-C", "root@builder", "-f", file).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		data, err := os.ReadFile(file + ".pub")
		if err != nil {
			t.Fatal(err)
		}
		pub = append(pub, strings.TrimSpace(string(data)))
	}
	keys, err := hostKeys(pub)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "known_hosts")
	text := strings.Join(KnownHosts([]string{"node001", "node001.cluster", "10.30.0.1", "fd00::1"}, keys), "\n") + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"node001", "node001.cluster", "10.30.0.1", "fd00::1"} {
		out, err := exec.CommandContext(t.Context(), keygen, "-F", host, "-l", "-f", file).CombinedOutput()
		if n := strings.Count(string(out), "SHA256:"); err != nil || n != 3 {
			t.Errorf("%s: %v, %d keys: %s", host, err, n, out)
		}
	}
	if out, err := exec.CommandContext(t.Context(), keygen, "-F", "node002", "-f", file).CombinedOutput(); err == nil {
		t.Errorf("found a node that is not there: %s", out)
	}
}

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		Memory(64 << 30): "64 GiB", Memory(3<<29 + 1<<20): "1.5 GiB", Memory(0): "0 B", Size(1_920_383_410_176): "1.92 TB", Size(999): "999 B",
		Size(100_000_000_000): "100 GB", Speed(0): "", Speed(100): "100 Mbit/s", Speed(400_000): "400 Gbit/s", fmt.Sprint(Speed(2500)): "2.5 Gbit/s",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

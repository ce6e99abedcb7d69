package treetest

import (
	"testing"

	"github.com/luna-hpc/luna/pkg/testenv"
)

// system makes the tree of a small system.
const system = `set -eu
cd "$1"
mkdir -p etc/ssh usr/bin usr/share/doc var/log var/lib/app srv/shared home boot proc sys dev run tmp root
chmod 1777 tmp; chmod 0700 root; chmod 2770 srv/shared
echo root:x:0:0::/root:/bin/sh >etc/passwd
echo 0123456789abcdef0123456789abcdef >etc/machine-id
echo secret >etc/ssh/ssh_host_ed25519_key; echo public >etc/ssh/ssh_host_ed25519_key.pub
head -c 70001 /dev/urandom >usr/bin/su; chown 17:2500000 usr/bin/su; chmod 4755 usr/bin/su
head -c 5000 /dev/urandom >usr/bin/ping; setcap cap_net_raw=ep usr/bin/ping
setfacl -m u:5:r etc/passwd; setfacl -d -m g:7:rwx srv/shared
setfattr -n user.a=b% -v 'x=1' etc/passwd; setfattr -n trusted.mark -v 0x000102 srv/shared
ln -s /etc/passwd etc/absolute; ln -s ../../outside etc/dangling; chown -h 5:6 etc/dangling
ln usr/bin/su usr/bin/su-again; ln etc/dangling etc/dangling-again
mknod srv/null c 1 3; mknod srv/disk b 259 70000; mkfifo srv/pipe; setfattr -h -n trusted.device -v x srv/null
: >usr/share/empty; : >etc/first; ln etc/first etc/second
truncate -s 40M var/lib/app/sparse; printf abc | dd of=var/lib/app/sparse bs=1 seek=20000000 conv=notrunc status=none
printf odd >"$(printf 'usr/share/\377\376 and\nnewline')"
mkdir "$(printf 'usr/share/\374mlaut')"; echo x >"$(printf 'usr/share/\374mlaut/\351')"
for i in $(seq 60); do head -c 3000 /dev/urandom >usr/share/doc/$i; done
echo kernel >boot/vmlinuz-6.1; mkdir -p lib/modules/6.1; echo dep >lib/modules/6.1/modules.dep
echo line >var/log/messages
n=0; for f in etc/* srv/* usr/bin/* usr/share/* usr/share/doc/[1-9] var/* var usr srv etc .; do
	n=$((n + 1)); touch -h -d "2020-01-02 03:04:05.$((100000 + n))123" "$f"
done
`

// System makes in dir, which is empty, the tree of a small system, with what belongs to one machine alone, and one of
// each of what Fill has many of: capabilities, access lists, attributes, hard links, sparse files, devices, fifos, odd
// names, times of nanoseconds. It needs a file system on a disk.
func System(t testing.TB, dir string) {
	t.Helper()
	testenv.Root(t)
	for _, p := range []string{"setcap", "setfacl", "setfattr"} {
		testenv.Program(t, p)
	}
	testenv.Shell(t, system, dir)
}

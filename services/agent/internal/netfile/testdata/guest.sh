#!/bin/bash
# Process 1 of a Linux kernel that runs as a program and has the machine's root file system, read
# only: starts a network manager on what Luna has written and tells what became of it.
#
#   guest.sh WORK MANAGER
#
# WORK/tree/etc is laid over /etc; WORK/names has the names of the cards vec0, vec1, …; WORK/wanted
# has texts that "ip" shows when all is done; what it shows at last is written to WORK/out.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C
work=$1 manager=$2
told=/srv

modules() {
	modprobe -d "$work/modules" -a "$@" || echo "guest: a module is missing"
}

# writable makes a root directory of which only this kernel sees the changes.
writable() {
	mount -t proc proc /proc
	mount -t tmpfs tmpfs /mnt
	modules overlay ipv6 8021q bridge veth
	# Like systemd's own file in modprobe.d: no bond0 that nobody wants.
	modprobe -d "$work/modules" bonding max_bonds=0
	mkdir /mnt/upper /mnt/work /mnt/root
	mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
	umount /proc
	cd /mnt/root && pivot_root . media
	exec chroot . /bin/bash "$0" "$work" "$manager" inside
}

furnish() {
	mount -t proc proc /proc
	mount -t sysfs sysfs /sys
	mount -t devtmpfs dev /dev
	mount -t tmpfs tmpfs /run
	mount -t hostfs -o "$work/out" none $told
	local n=0 name
	while read -r name; do
		ip link set dev vec$n name "$name"
		n=$((n + 1))
	done <"$work/names"
	ip link set dev lo up
	# What the machine itself has must not come between.
	rm -rf /etc/network/interfaces.d/* /etc/netplan/* /etc/systemd/network/* /etc/NetworkManager/{conf.d,system-connections}/*
	cp -a "$work/tree/etc/." /etc/
	chown -R 0:0 /etc/NetworkManager /etc/netplan /etc/systemd
}

udev() {
	/lib/systemd/systemd-udevd --daemon
	udevadm trigger --subsystem-match=net --action=add
	udevadm settle --timeout=30
}

networkd() {
	install -d -o systemd-network /run/systemd/netif
	SYSTEMD_LOG_LEVEL=debug /lib/systemd/systemd-networkd >$told/log 2>&1 &
}

start() {
	case $manager in
	ifupdown)
		mkdir -p /run/network
		{
			ifup -a
			echo "ifup $?"
			# What it makes must go again.
			if grep -q post-down /etc/network/interfaces.d/luna; then
				ifdown -a && ifup -a
				echo "ifup $?"
			fi
		} >$told/log 2>&1
		;;
	networkd) networkd ;;
	netplan)
		netplan generate >$told/generate 2>&1
		networkd
		;;
	networkmanager)
		mkdir -p /run/dbus
		dbus-daemon --system --fork
		NetworkManager --debug --log-level=DEBUG >$told/log 2>&1 &
		;;
	esac
}

# all_there tells whether all that is wanted is there, and no address is still tried out.
all_there() {
	local now text
	now=$(ip -o address; ip route; ip -6 route)
	[[ $now != *tentative* ]] || return 1
	while read -r text; do
		[[ $now == *"$text"* ]] || return 1
	done <"$work/wanted"
}

[ "$3" = inside ] || writable
furnish
udev
start
for _ in $(seq 60); do
	all_there && break
	sleep 1
done
ip -j address >$told/address
ip -j -d link >$told/link
ip -j route >$told/route
ip -j -6 route >$told/route6
# The test ends this kernel when it sees that.
echo told >$told/done
exec sleep infinity

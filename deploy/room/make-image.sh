#!/bin/bash
# Makes the test image of the virtual room: a Debian root file system that holds one of everything
# a packer must keep. It is built once for each text of this script and choice of packages.
#
#   make-image.sh [DIR]      DIR is the cache, default /var/cache/luna/room
#
# LUNA_ROOM_NETWORK  ifupdown (default), networkd, networkmanager, netplan: what configures interfaces in the image
# LUNA_ROOM_KERNEL   linux-image-cloud-amd64 (default): a small image for virtual machines;
#                    linux-image-amd64: drivers, firmware and tools for physical machines
# LUNA_ROOM_LOADER   none (default), grub: what the image can boot itself with from a disk
# LUNA_ROOM_SELINUX  off (default), enforcing: Debian's SELinux policy, and every file labelled
#
# Prints the folder made: root/ is the image, id_ed25519 the key that opens root's account in it.
set -euo pipefail

suite=bookworm
cache=$(realpath -m "${1:-/var/cache/luna/room}")
network=${LUNA_ROOM_NETWORK:-ifupdown}
kernel=${LUNA_ROOM_KERNEL:-linux-image-cloud-amd64}
loader=${LUNA_ROOM_LOADER:-none}
selinux=${LUNA_ROOM_SELINUX:-off}
components=main

packages=(
	systemd-sysv dbus udev kmod procps util-linux fdisk mount
	openssh-server iproute2 iputils-ping curl wget ca-certificates
	e2fsprogs xfsprogs dosfstools parted efibootmgr rsync
	acl attr libcap2-bin zstd "$kernel"
)

# physical are the packages that only an image for physical machines needs.
physical=(
	firmware-misc-nonfree firmware-bnx2 firmware-bnx2x firmware-qlogic firmware-realtek
	ipmitool lvm2 mdadm btrfs-progs nvme-cli ethtool pciutils xz-utils
)

die() {
	echo "make-image: $*" >&2
	exit 1
}

# name gives the same word for the same image.
name() {
	{ cat "$0"; echo "$suite $network $kernel $loader $selinux"; } | sha256sum | cut -c 1-16
}

# in_root runs a command in the image being built.
in_root() {
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 chroot "$root" "$@"
}

bootstrap() {
	local include
	include=$(IFS=,; echo "${packages[*]}")
	mkdir -p "$cache/deb"
	# INITRD=No: the packer builds the initrd, so the kernel's hook need not.
	INITRD=No debootstrap --variant=minbase --components="$components" --cache-dir="$cache/deb" --include="$include" \
		"$suite" "$root" || { tail -n 30 "$root/debootstrap/debootstrap.log" >&2; die "debootstrap failed"; }
}

# shrink takes away what no test reads.
shrink() {
	rm -rf "$root"/usr/share/{doc,man,info,locale} "$root"/var/log/bootstrap.log
	rm -rf "$root"/var/lib/apt/lists "$root"/var/cache/apt
	mkdir -p "$root"/var/lib/apt/lists/partial "$root"/var/cache/apt/archives/partial
}

configure_network() {
	case $network in
	ifupdown)
		printf 'auto lo\niface lo inet loopback\n\nsource /etc/network/interfaces.d/*\n' >"$root/etc/network/interfaces"
		;;
	networkd | netplan)
		in_root systemctl -q enable systemd-networkd.service
		;;
	networkmanager)
		in_root systemctl -q enable NetworkManager.service
		;;
	esac
}

# configure_loader gives GRUB the names that it has in other distributions, and the image an
# initrd of its own, as those have it.
configure_loader() {
	[ "$loader" = grub ] || return 0
	ln -s grub-mkconfig "$root/usr/sbin/grub2-mkconfig"
	ln -s grub-install "$root/usr/sbin/grub2-install"
	mkdir "$root/boot/grub2"
	ln -s grub2 "$root/boot/grub"
	printf 'GRUB_TIMEOUT=1\nGRUB_CMDLINE_LINUX_DEFAULT="console=tty0 console=ttyS0,115200"\nGRUB_TERMINAL="console serial"\n' >"$root/etc/default/grub"
	in_root mount -t proc proc /proc
	in_root update-initramfs -c -k all
	in_root umount /proc
}

# configure_selinux comes last: what is written after it has no label.
configure_selinux() {
	[ "$selinux" = enforcing ] || return 0
	printf 'SELINUX=enforcing\nSELINUXTYPE=default\n' >"$root/etc/selinux/config"
	in_root mount -t proc proc /proc
	in_root setfiles -F -e /proc /etc/selinux/default/contexts/files/file_contexts /
	in_root umount /proc
}

# configure makes the image neutral (debootstrap copies the builder's name and resolver) and
# reachable: over ssh with the key, on the first serial port with a login.
configure() {
	echo image >"$root/etc/hostname"
	printf '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n' >"$root/etc/hosts"
	: >"$root/etc/resolv.conf"
	configure_network
	configure_loader
	in_root systemctl -q enable ssh.service serial-getty@ttyS0.service
	in_root systemctl -q mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer
	install -d -m 0700 "$root/root/.ssh"
	install -m 0600 "$work/id_ed25519.pub" "$root/root/.ssh/authorized_keys"
}

# curiosities are the files that a careless packer loses. (mkfifo -m and mknod -m want /proc.)
curiosities() {
	in_root /bin/bash -eu <<-'END'
		cp /bin/ping /usr/local/bin/ping-cap
		setcap cap_net_raw+ep /usr/local/bin/ping-cap
		cd /srv
		echo acl >acl.txt
		setfacl -m user:www-data:rw acl.txt
		echo xattr >xattr.txt
		setfattr -n user.luna -v room xattr.txt
		echo linked >hard-a
		ln hard-a hard-b
		truncate -s 64M sparse
		echo data | dd of=sparse bs=1M seek=32 conv=notrunc status=none
		mkfifo fifo
		mknod null c 1 3
		chmod 0600 fifo null
		ln -s nowhere dangling
		install -d -m 3775 -o www-data -g staff sticky
		touch "sticky/name with space" $'sticky/\303\244\tb'
	END
}

build() {
	root=$work/root
	mkdir "$root"
	chmod 0755 "$work" "$root"
	ssh-keygen -q -t ed25519 -N '' -C luna-room -f "$work/id_ed25519"
	bootstrap
	shrink
	configure
	curiosities
	configure_selinux
}

# apart runs the rest in a mount and process namespace of its own, so that a build that is
# interrupted leaves neither a mount nor a process.
apart() {
	[ "${LUNA_ROOM_APART:-}" = yes ] && return
	LUNA_ROOM_APART=yes exec unshare --mount --propagation private --pid --mount-proc --fork --kill-child "$0" "$cache"
}

case $network in
ifupdown) packages+=(ifupdown ifenslave vlan) ;;
networkd) ;;
networkmanager) packages+=(network-manager libpam-systemd) ;; # polkit wants a logind, which debootstrap does not choose by itself
netplan) packages+=(netplan.io) ;;
*) die "LUNA_ROOM_NETWORK is $network, not ifupdown, networkd, networkmanager or netplan" ;;
esac
case $kernel in
linux-image-cloud-amd64) ;;
linux-image-amd64)
	packages+=("${physical[@]}")
	components=main,non-free-firmware
	;;
*) die "LUNA_ROOM_KERNEL is $kernel, not linux-image-cloud-amd64 or linux-image-amd64" ;;
esac
case $loader in
none | grub) ;;
*) die "LUNA_ROOM_LOADER is $loader, not none or grub" ;;
esac
[ "$loader" = grub ] && packages+=(initramfs-tools grub2-common grub-pc-bin grub-efi-amd64-bin)
case $selinux in
off) ;;
enforcing) packages+=(selinux-basics selinux-policy-default policycoreutils) ;;
*) die "LUNA_ROOM_SELINUX is $selinux, not off or enforcing" ;;
esac
[ "$(id -u)" = 0 ] || die "only root can make an image"
for tool in debootstrap ssh-keygen unshare flock; do
	command -v "$tool" >/dev/null || die "$tool is missing: run $(dirname "$0")/install-packages.sh"
done

out=$cache/$(name)
if [ ! -d "$out" ]; then
	apart
	mkdir -p "$cache"
	exec 9>"$cache/lock"
	flock 9
	rm -rf "$cache"/building.*
	if [ ! -d "$out" ]; then
		work=$(mktemp -d "$cache/building.XXXXXX")
		build >&2 9>&-
		mv -T "$work" "$out"
	fi
fi
echo "$out"

#!/bin/bash
# Installs the Debian packages that the virtual room and its tests need, and with the argument "bench"
# also those that benchmarks compare with; silent when all are there.
set -euo pipefail

packages=(
	qemu-system-x86 qemu-utils ovmf ipxe ipxe-qemu
	debootstrap zstd xz-utils cpio acl libcap2-bin kmod
	iproute2 iputils-ping nftables openssh-client openssh-server busybox curl wget jq
	isc-dhcp-client udhcpc tftp-hpa dnsutils bind9-utils aria2 python3-libtorrent transmission-cli
	umoci skopeo rsync attr e2fsprogs xfsprogs pigz squashfs-tools erofs-utils
	openipmi ipmitool clustershell snmpd
	docker.io docker-compose shellcheck bash-completion zsh
	ifupdown netplan.io network-manager systemd dbus udev user-mode-linux
)
case "${1-}" in
"") ;;
bench) packages+=(kea-dhcp4-server kea-admin bind9 dnsperf nginx wrk udpcast) ;;
*) echo "install-packages: $1: say nothing, or bench" >&2; exit 2 ;;
esac

# installed prints the packages of the list that are completely installed.
installed() {
	# dpkg-query fails when it does not know one of the names; the rest is still printed.
	dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "${packages[@]}" 2>/dev/null | sed -n 's/^ii  *//p' || true
}

mapfile -t missing < <(printf '%s\n' "${packages[@]}" | sort | comm -23 - <(installed | sort))
[ "${#missing[@]}" -eq 0 ] && exit 0

if [ "$(id -u)" != 0 ]; then
	echo "install-packages: only root can install ${missing[*]}" >&2
	exit 1
fi
# Tests want programs, not daemons: what comes now is neither started nor enabled. A machine
# keeps the policy that it has.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 0755 "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q install --yes --no-install-recommends "${missing[@]}"

for pair in network-manager:NetworkManager snmpd:snmpd openipmi:openipmi kea-dhcp4-server:kea-dhcp4-server bind9:named nginx:nginx openssh-server:ssh; do
	if [[ " ${missing[*]} " == *" ${pair%%:*} "* ]]; then
		systemctl -q disable "${pair#*:}.service" 2>/dev/null || echo "install-packages: ${pair#*:} stays as it is"
	fi
done

#!/bin/bash
# What ipmi_sim calls to read and set the controller's network and to switch the
# machine. It is called as "get NAME…" and "set NAME VALUE…"; what is set stays
# in files beside this one.
cd "$(dirname "$0")" || exit 1

declare -A otherwise=(
	[ip_addr_src]=dhcp [ip_addr]=0.0.0.0 [subnet_mask]=0.0.0.0 [mac_addr]=52:54:00:0b:0c:01
	[default_gw_ip_addr]=0.0.0.0 [default_gw_mac_addr]=00:00:00:00:00:00
	[backup_gw_ip_addr]=0.0.0.0 [backup_gw_mac_addr]=00:00:00:00:00:00
	[power]=0
)

op=$1
shift
while [ $# -gt 0 ]; do
	name=$1
	shift
	case $op in
	get)
		if [ -s "$name" ]; then echo "$name:$(cat "$name")"; else echo "$name:${otherwise[$name]}"; fi
		;;
	set)
		value=$1
		shift
		case $name in
		power) echo "$value" >power ;;
		*)
			echo "$value" >"$name"
			echo "$name $value" >>sets
			;;
		esac
		;;
	esac
done

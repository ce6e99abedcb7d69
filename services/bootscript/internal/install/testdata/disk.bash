#!/bin/bash
# Luna install script of node001
export LUNA_OSIMAGE='compute'
luna-agent step prescript <<'LUNA_EOF_prescript' || exit 1
LUNA_EOF_prescript
luna-agent bmc <<'LUNA_EOF_bmc' || exit 1
{"address":"10.50.0.1/16","gateway":"","user":"ladmin","userid":3,"netchannel":1,"mgmtchannel":1,"required":false}
LUNA_EOF_bmc
LUNA_ROOT=disk luna-agent step partscript <<'LUNA_EOF_partscript' || exit 1
mount -t tmpfs -o size=90%,mode=0755 tmpfs /sysroot
LUNA_EOF_partscript
luna-agent payload --manifest sha256:1111111111111111111111111111111111111111111111111111111111111111 --torrent sha256:2222222222222222222222222222222222222222222222222222222222222222 || exit 1
luna-agent identity <<'LUNA_EOF_identity' || exit 1
{"node":"node001","hostname":"node001.cluster","machine_id":"0648ab7161c30795555380e795ac7ad5","hosts":[{"address":"10.30.0.1","names":["node001.cluster","node001"]},{"address":"10.30.255.254","names":["head.cluster","head"]}]}
LUNA_EOF_identity
luna-agent network <<'LUNA_EOF_network' || exit 1
{"interfaces":[{"name":"BOOTIF","mac":"52:54:00:00:00:01","addresses":["10.30.0.1/16","fd00::1/64"],"gateway":"10.30.255.253","gateway6":"fd00::ff","mtu":9000,"options":""},{"name":"eth1","mac":"","addresses":["10.40.0.1/16"],"gateway":"","mtu":0,"options":"bond=yes"},{"name":"bond0","mac":"","addresses":[],"gateway":"","mtu":0,"options":"","bond":{"members":["BOOTIF","eth2"],"mode":"802.3ad","miimon":100}},{"name":"storage","mac":"","addresses":["10.60.0.1/16"],"gateway":"","mtu":8000,"options":"","vlan":{"parent":"bond0","tag":60}},{"name":"br0","mac":"","addresses":[],"gateway":"","mtu":0,"options":"","bridge":{"ports":["eth3"],"stp":true}}],"dns":["10.30.255.254","fd00::fe"],"search":["cluster"]}
LUNA_EOF_network
luna-agent step postscript <<'LUNA_EOF_postscript_1' || exit 1
cat <<LUNA_EOF_postscript >/sysroot/etc/fstab
tmpfs / tmpfs defaults 0 0
LUNA_EOF_postscript
echo "$HOME" 'quoted' \
  `date`
LUNA_EOF_postscript_1
luna-agent finish || exit 1

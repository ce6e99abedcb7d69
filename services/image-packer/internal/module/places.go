package module

// places says of directories of the kernel's tree whether their modules belong into an initrd: what finds, reads and
// mounts a disk or a network share, what reaches the head, and the console's keyboard. Never graphics, wireless, sound.
var places = map[string]bool{
	"block":                                 true,
	"drivers/acpi/nfit":                     true,
	"drivers/ata":                           true,
	"drivers/block":                         true,
	"drivers/block/drbd":                    false,
	"drivers/cdrom":                         true,
	"drivers/char/ipmi":                     true,
	"drivers/dax":                           true,
	"drivers/hid/usbhid":                    true,
	"drivers/hv":                            true,
	"drivers/infiniband":                    true,
	"drivers/infiniband/ulp":                true,
	"drivers/input/serio":                   true,
	"drivers/md":                            true,
	"drivers/message":                       true,
	"drivers/mmc":                           true,
	"drivers/net":                           true,
	"drivers/net/appletalk":                 false,
	"drivers/net/arcnet":                    false,
	"drivers/net/can":                       false,
	"drivers/net/ethernet/marvell/prestera": false,
	"drivers/net/ethernet/mellanox/mlxsw":   false,
	"drivers/net/fddi":                      false,
	"drivers/net/hamradio":                  false,
	"drivers/net/hippi":                     false,
	"drivers/net/ieee802154":                false,
	"drivers/net/plip":                      false,
	"drivers/net/ppp":                       false,
	"drivers/net/slip":                      false,
	"drivers/net/wan":                       false,
	"drivers/net/wireguard":                 false,
	"drivers/net/wireless":                  false,
	"drivers/net/wwan":                      false,
	"drivers/nvdimm":                        true,
	"drivers/nvme":                          true,
	"drivers/nvme/target":                   false,
	"drivers/pci":                           true,
	"drivers/scsi":                          true,
	"drivers/scsi/pcmcia":                   false,
	"drivers/staging":                       false,
	"drivers/ufs":                           true,
	"drivers/usb/common":                    true,
	"drivers/usb/core":                      true,
	"drivers/usb/host":                      true,
	"drivers/usb/storage":                   true,
	"drivers/virtio":                        true,
	"drivers/xen":                           true,
	"fs/9p":                                 true,
	"fs/btrfs":                              true,
	"fs/efivarfs":                           true,
	"fs/erofs":                              true,
	"fs/exfat":                              true,
	"fs/ext2":                               true,
	"fs/ext4":                               true,
	"fs/fat":                                true,
	"fs/fuse":                               true,
	"fs/isofs":                              true,
	"fs/jbd2":                               true,
	"fs/nfs":                                true,
	"fs/overlayfs":                          true,
	"fs/squashfs":                           true,
	"fs/udf":                                true,
	"fs/xfs":                                true,
	"net/8021q":                             true,
	"net/9p":                                true,
	"net/core":                              true,
	"net/dns_resolver":                      true,
	"net/packet":                            true,
	"net/sunrpc":                            true,
	"net/unix":                              true,
	"net/vmw_vsock":                         true,
}

// never are modules of these directories that serve others, watch or try the kernel, or make networks of their own: no
// initrd wants them, unless another one needs them.
var never = []string{"ib_isert", "ib_srpt", "netdevsim", "null_blk", "nvmet", "nvme_loop", "rbd", "rnbd_server", "rtrs_server", "scsi_debug", "efct",
	"tcm_fc", "tcm_qla2xxx", "xen_blkback", "xen_netback", "xen_pciback", "xen_scsiback", "aer_inject", "md_cluster",
	"af_packet_diag", "amt", "bareudp", "drop_monitor", "dummy", "eql", "geneve", "gtp", "ifb", "macsec", "mhi_net", "nlmon", "ntb_netdev", "pktgen",
	"thunderbolt_net", "unix_diag", "vrf", "vsock_diag", "vsockmon", "vxlan"}

// companions are the programs without which what is in a directory cannot be used, or not made: btrfs alone is a
// thirtieth of an initrd.
var companions = map[string][]string{
	"drivers/md/bcache": {"make-bcache", "bcache"},
	"fs/btrfs":          {"btrfs", "mkfs.btrfs"},
	"fs/nfs":            {"mount.nfs"},
	"net/sunrpc":        {"mount.nfs"},
}

// single names the modules that are wanted of directories which hold many others.
var single = map[string][]string{
	"crypto": {"aes_generic", "aes_ti", "af_alg", "algif_skcipher", "authenc", "authencesn", "blake2b_generic", "cbc", "ccm", "crc32_generic",
		"crc32c", "crc32c_generic", "crct10dif_generic", "crc64_rocksoft_generic", "cryptd", "ctr", "ecb", "essiv", "gcm", "gf128mul",
		"ghash_generic", "hmac", "md4", "md5", "rmd160", "sha1_generic", "sha256_generic", "sha512_generic", "xts", "xxhash_generic"},
	"drivers/char":           {"virtio_console"},
	"drivers/char/hw_random": {"virtio_rng"},
	"drivers/firmware":       {"qemu_fw_cfg"},
	"drivers/firmware/efi":   {"efivars", "efi_pstore"},
	"drivers/hid":            {"hid", "hid_generic", "hid_hyperv", "hid_apple", "hid_cherry", "hid_lenovo", "hid_logitech", "hid_logitech_dj", "hid_logitech_hidpp", "hid_microsoft"},
	"drivers/input":          {"evdev"},
	"drivers/input/keyboard": {"atkbd", "hyperv_keyboard"},
	"fs":                     {"mbcache", "binfmt_misc"},
	"fs/nls":                 {"nls_ascii", "nls_cp437", "nls_cp850", "nls_iso8859_1", "nls_iso8859_15", "nls_utf8"},
	"net/ipv6":               {"ipv6"},
}

// ciphers are the modules that are wanted of arch/*/crypto: what file systems, dm-crypt and TLS use.
var ciphers = []string{
	"aesni_intel", "crc32_pclmul", "crc32c_intel", "crct10dif_pclmul", "ghash_clmulni_intel",
	"sha1_ssse3", "sha256_ssse3", "sha512_ssse3",
	"aes_ce_blk", "aes_ce_ccm", "aes_ce_cipher", "aes_neon_blk", "crct10dif_ce", "ghash_ce", "sha1_ce", "sha2_ce", "sha512_ce",
}

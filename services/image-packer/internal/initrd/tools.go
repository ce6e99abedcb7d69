package initrd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// wanted are the tools that operators' scripts and people at the console use; what the image lacks of them is reported.
var wanted = words(`
	bash getent sh
	[ basename base64 cat chgrp chmod chown chroot cp cut date dd df dirname du echo env expr false head hostname id install
	ln ls md5sum mkdir mkfifo mknod mktemp mv nproc od printf pwd readlink realpath rm rmdir seq sha256sum sleep sort split
	stat stty sync tail tee test timeout touch tr true truncate tty uname uniq wc whoami
	blkdiscard blkid blockdev dmesg fdisk findmnt flock fstrim getopt hwclock logger losetup lsblk mkswap mount mountpoint
	more partx setsid sfdisk swapoff swapon switch_root umount wipefs
	parted partprobe mkfs.ext2 mkfs.ext3 mkfs.ext4 e2fsck tune2fs resize2fs mkfs.xfs xfs_repair mkfs.vfat fsck.vfat efibootmgr
	kmod depmod insmod lsmod modinfo modprobe rmmod
	ip ping ps kill pgrep pkill top free sysctl
	awk diff find grep egrep sed xargs tar cpio gzip gunzip zcat xz zstd
	curl wget ssh sshd scp sftp ssh-keygen rsync
	ipmitool lvm mdadm dmsetup`)

// extra are taken when the image has them.
var extra = words(`
	agetty bcache make-bcache btrfs mkfs.btrfs mke2fs mkdosfs mkfs.fat fsck.fat fsck.ext4 fsck.xfs fsck xfs_growfs xfs_info xfs_admin growpart
	cryptsetup dmidecode ethtool gdisk hdparm less lsof lspci mii-tool nvme sgdisk smartctl vi
	pvcreate pvs pvscan pvremove vgcreate vgs vgscan vgchange vgremove lvcreate lvs lvscan lvchange lvremove lvextend
	mount.nfs mount.nfs4
	setfacl getfacl setfattr getfattr setcap strace tcpdump ibstat ibstatus opensm`)

// parts are programs that others start by their full path: without them sshd of OpenSSH 9.8 does not let anyone in.
var parts = []string{"sshd-session", "sshd-auth", "sftp-server"}

var (
	toolDirs = []string{"usr/bin", "usr/sbin", "bin", "sbin", "usr/local/bin", "usr/local/sbin"}
	partDirs = []string{"usr/lib/openssh", "usr/libexec/openssh", "usr/lib/ssh", "usr/libexec/ssh", "usr/lib64/ssh"}
)

func words(text string) []string { return strings.Fields(text) }

// tools takes the tools that the image has.
func (b *builder) tools(ctx context.Context) error {
	for _, list := range []struct {
		names, dirs []string
		missing     *[]string
	}{{wanted, toolDirs, &b.report.MissingTools}, {extra, toolDirs, new([]string)}, {parts, partDirs, new([]string)}} {
		for _, name := range list.names {
			if err := ctx.Err(); err != nil {
				return err
			}
			found, err := b.tool(name, list.dirs)
			if err != nil {
				return err
			}
			if !found {
				*list.missing = append(*list.missing, name)
				continue
			}
			b.report.Tools = append(b.report.Tools, name)
		}
	}
	slices.Sort(b.report.Tools)
	slices.Sort(b.report.MissingTools)
	return b.shellOf()
}

// tool takes name from the first of dirs that has it, and tells whether one has.
func (b *builder) tool(name string, dirs []string) (bool, error) {
	for _, dir := range dirs {
		p := path.Join(dir, name)
		info, err := b.image.Stat(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("tool %s: %w", name, err)
		}
		if !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
			continue
		}
		if err := b.Add(p); err != nil {
			return false, fmt.Errorf("tool %s: %w", name, err)
		}
		b.programs = append(b.programs, p)
		return true, nil
	}
	return false, nil
}

// shellOf notes a dynamic program of the image, and with it the image's processor.
func (b *builder) shellOf() error {
	for _, p := range b.programs {
		needs, err := b.Libraries().Needs(p)
		if err != nil {
			return err
		}
		if len(needs) == 0 {
			continue
		}
		b.shell = p
		b.machine, err = b.Libraries().Machine(p)
		return err
	}
	return nil
}

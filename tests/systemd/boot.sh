#!/bin/bash
# A systemd of its own as process 1 of new namespaces, on an overlay of this host's files: boot.sh DIR DCM
# It goes on until systemd is switched off (kill -RTMIN+4) or this script is killed. Nothing is written to the host: what is
# written goes to a file system in memory below DIR. /sys and /proc/sys are read-only there, since systemd acts on them.
set -e
export W=$1 BIN=$2
CG=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
NAME=dcm-systemd-test-$$
mkdir -p "$W" "$CG/$NAME"
echo $$ > "$CG/$NAME/cgroup.procs"
echo "$CG/$NAME" > "$W.cgroup"
exec unshare --mount --pid --fork --ipc --uts --cgroup --kill-child bash -ec '
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs $W; mkdir $W/up $W/work $W/r; R=$W/r
mount -t overlay overlay -o lowerdir=/,upperdir=$W/up,workdir=$W/work $R
mount -t proc proc $R/proc; mount --bind $R/proc/sys $R/proc/sys; mount -o remount,bind,ro $R/proc/sys
mount -t sysfs -o ro sysfs $R/sys; mount -t cgroup2 cgroup2 $R/sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs $R/run; mount -t tmpfs tmpfs $R/tmp; mount -t tmpfs -o mode=755 tmpfs $R/dev
for d in null zero full random urandom tty; do : > $R/dev/$d; mount --bind /dev/$d $R/dev/$d; done
mkdir $R/dev/pts $R/dev/shm; mount -t devpts -o newinstance,ptmxmode=666 devpts $R/dev/pts
ln -s pts/ptmx $R/dev/ptmx; touch $R/dev/console
: > $R/etc/fstab; rm -rf $R/var/lib/dcm $R/etc/dcm $R/etc/systemd/system/data-collector-manager.service*
mkdir -p $R/opt/dcm; cp "$BIN" $R/opt/dcm/dcm; cp "$BIN" $R/opt/dcm/dcm.new
# Units of this host are not the test.
printf "[Unit]\nAllowIsolate=yes\n" > $R/run/dcm-test.target; mkdir -p $R/run/systemd/system
mv $R/run/dcm-test.target $R/run/systemd/system/
exec env -i container=dcm-test PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin chroot $R \
  /lib/systemd/systemd --unit=dcm-test.target --log-target=console --show-status=no'

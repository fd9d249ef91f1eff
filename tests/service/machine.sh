#!/bin/bash
# A machine with a real systemd: pid 1 of a pid namespace, over a copy-on-write view of this machine's root.
# Nothing that is done in it outlives it. Needs root, overlayfs, and of Debian systemd-container, dbus,
# dbus-user-session and libpam-systemd. Exits with 77 where it cannot be had.
#
#   machine.sh up NAME             boots it, and returns when its system bus answers
#   machine.sh copy NAME FILE PATH  copies a file of this machine into it
#   machine.sh run NAME CMD...     runs a command in it as root
#   machine.sh user NAME USER CMD...   runs a command in the session environment of USER, who lingers
#   machine.sh user-as-is NAME USER CMD...   the same, and does not make USER linger
#   machine.sh reboot NAME         shuts it down in order, and boots it again
#   machine.sh down NAME           takes it and its files away
set -eu
state=/run/taskq-machine.${2:?}
root=$state/root
# The groups of a machine are its own: two machines have units of the same names.
groups=$state/cgroup/taskq-machine-$2

enter() {
    nsenter --target "$(cat "$state/init")" --all --wdns=/ -- "$@"
}

boot() {
    SYSTEMD_NSPAWN_LOCK=0 SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 setsid sh -c 'echo $$ >"$1/cgroup.procs" || exit
        exec systemd-nspawn --quiet --register=no --keep-unit --private-network --machine="tq$$" \
            --directory="$2" --boot' sh "$groups" "$root" >"$state/console" 2>&1 </dev/null &
    echo $! >"$state/nspawn"
    for _ in $(seq 300); do
        pid=$(pgrep --parent "$(cat "$state/nspawn")" | head -1 || true)
        if [ -n "$pid" ] && echo "$pid" >"$state/init" && [ -S "/proc/$pid/root/run/systemd/private" ] &&
            enter systemctl is-system-running 2>/dev/null | grep -Eq 'running|degraded'; then
            return 0
        fi
        sleep 0.1
    done
    echo "machine: did not boot: $(tail -n 3 "$state/console")" >&2
    exit 77
}

# Waits until the machine is off; a machine that does not go in 30 seconds is killed.
await_end() {
    for _ in $(seq 300); do
        kill -0 "$(cat "$state/nspawn")" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -9 "$(cat "$state/init")" 2>/dev/null || true
}

case $1 in
up)
    for tool in systemd-nspawn dbus-daemon loginctl; do
        command -v "$tool" >/dev/null || { echo "machine: no $tool here" >&2; exit 77; }
    done
    mkdir -p "$state" 2>/dev/null || { echo "machine: only root has one" >&2; exit 77; }
    {
        mount -t tmpfs -o size=1g taskq-machine "$state" && mkdir "$state/upper" "$state/work" "$root" &&
            mount -t overlay overlay -o "lowerdir=/,upperdir=$state/upper,workdir=$state/work" "$root" &&
            mkdir "$state/cgroup" && mount -t cgroup2 none "$state/cgroup" && mkdir "$groups"
    } || exit 77
    # Only what the tests are about: no server of this machine's.
    for unit in anacron atd cron exim4 postfix postgresql ssh sysstat systemd-networkd systemd-resolved; do
        ln -sfn /dev/null "$root/etc/systemd/system/$unit.service"
    done
    boot
    ;;
copy)
    # A machine has temporary directories of its own, in which it sees no file of this one.
    cp "$3" "$root$4"
    ;;
run)
    shift 2
    enter "$@"
    ;;
user|user-as-is)
    verb=$1
    user=$3
    shift 3
    enter id "$user" >/dev/null 2>&1 || enter useradd --create-home --shell /bin/bash "$user"
    if [ "$verb" = user ]; then
        enter loginctl enable-linger "$user"
    fi
    uid=$(enter id -u "$user")
    for _ in $(seq 100); do
        enter test -S "/run/user/$uid/bus" && break
        sleep 0.1
    done
    enter setpriv --reuid "$uid" --regid "$uid" --init-groups env -i HOME="/home/$user" USER="$user" \
        LOGNAME="$user" SHELL=/bin/bash PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 \
        XDG_RUNTIME_DIR="/run/user/$uid" DBUS_SESSION_BUS_ADDRESS="unix:path=/run/user/$uid/bus" "$@"
    ;;
reboot)
    enter systemctl poweroff --no-wall
    await_end
    boot
    ;;
down)
    [ ! -e "$state/init" ] || kill -9 "$(cat "$state/init")" 2>/dev/null || true
    [ ! -e "$state/nspawn" ] || await_end
    if [ -d "$groups" ]; then
        echo 1 >"$groups/cgroup.kill" || true
        # A group goes when its last process has gone.
        for _ in $(seq 50); do
            find "$groups" -depth -type d -exec rmdir {} + 2>/dev/null && break
            sleep 0.1
        done
    fi
    umount "$root" "$state/cgroup" "$state" 2>/dev/null || true
    rmdir "$state"
    ;;
esac

#!/bin/sh
# An OpenSSH server on loopback with keys of its own. Debian: openssh-server, whose service need not run.
#
#   sshd.sh up DIR [PORT]   prints the path of a client configuration with the hosts `far1` and `far2`, both
#                           this machine: `ssh -F CONFIG far1` (ssh takes the home from passwd, not $HOME)
#   sshd.sh down DIR
set -eu
PATH=$PATH:/usr/sbin:/sbin
D=$(realpath -m "$2")
case $1 in
up)
    P=${3:-22022}
    for tool in sshd ssh-keygen ssh; do
        command -v $tool >/dev/null || { echo "sshd: no $tool here" >&2; exit 77; }
    done
    mkdir -p "$D" && chmod 700 "$D"
    [ -f "$D/host" ] || ssh-keygen -q -t ed25519 -N '' -f "$D/host"
    [ -f "$D/id" ] || ssh-keygen -q -t ed25519 -N '' -f "$D/id"
    cp "$D/id.pub" "$D/authorized_keys"
    # SHLVL: so that bash does not read what the tester has in ~/.bashrc.
    cat >"$D/sshd_config" <<C
Port $P
ListenAddress 127.0.0.1
HostKey $D/host
PidFile $D/sshd.pid
AuthorizedKeysFile $D/authorized_keys
StrictModes no
UsePAM no
SetEnv SHLVL=2
PasswordAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100:30:200
C
    cat >"$D/config" <<C
Host far1 far2
    HostName 127.0.0.1
    Port $P
    IdentityFile $D/id
    IdentitiesOnly yes
    BatchMode yes
    UserKnownHostsFile $D/known_hosts
    StrictHostKeyChecking accept-new
    LogLevel ERROR
C
    [ "$(id -u)" -ne 0 ] || mkdir -p /run/sshd
    "$(command -v sshd)" -f "$D/sshd_config" -E "$D/sshd.log"
    i=0
    until ssh -F "$D/config" far1 true 2>/dev/null; do
        i=$((i + 1))
        [ $i -lt 50 ] || { echo "sshd: no answer, see $D/sshd.log" >&2; exit 1; }
        sleep 0.1
    done
    echo "$D/config"
    ;;
down) if [ -s "$D/sshd.pid" ]; then kill "$(cat "$D/sshd.pid")"; fi ;;
*) sed -n 2,7p "$0" >&2; exit 2 ;;
esac

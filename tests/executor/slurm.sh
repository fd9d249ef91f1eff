#!/bin/sh
# A two-node Slurm on one host, without root and without systemd, under a directory of its own.
# Debian: slurmctld slurmd slurm-client munge, installed with a policy-rc.d that exits 101: no service starts.
#
#   slurm.sh up DIR [PORTBASE]   prints "export SLURM_CONF=..."; about a second
#   slurm.sh node-down DIR N     kills slurmd N (1 or 2), its jobs go on unseen; node-up starts it
#   slurm.sh ctl-down DIR        kills slurmctld; ctl-up starts it
#   slurm.sh down DIR
set -eu
PATH=$PATH:/usr/sbin:/sbin
verb=$1
D=$(realpath -m "$2")
end() { if [ -s "$1" ]; then kill "-${2:-TERM}" "$(cat "$1")" 2>/dev/null || true; fi; }
[ -f "$D/slurm.conf" ] && export SLURM_CONF="$D/slurm.conf"
case $verb in
up)
    P=${3:-26817} U=$(id -un) H=$(hostname -s)
    for tool in slurmctld slurmd sbatch munged; do
        command -v $tool >/dev/null || { echo "slurm: no $tool here" >&2; exit 77; }
    done
    mkdir -p "$D/ctld" "$D/n1" "$D/n2" && chmod 755 "$D"
    (umask 077; head -c 128 /dev/urandom >"$D/munge.key")
    munged --force --key-file="$D/munge.key" --socket="$D/munge.sock" --pid-file="$D/munge.pid" \
        --log-file="$D/munge.log" --seed-file="$D/munge.seed" 2>/dev/null
    cat >"$D/slurm.conf" <<C
ClusterName=tq
SlurmctldHost=$H(127.0.0.1)
SlurmUser=$U
SlurmdUser=$U
AuthInfo=socket=$D/munge.sock
SlurmctldPort=$P
StateSaveLocation=$D/ctld
SlurmdSpoolDir=$D/%n
SlurmctldPidFile=$D/ctld.pid
SlurmdPidFile=$D/%n.pid
SlurmctldLogFile=$D/ctld.log
SlurmdLogFile=$D/%n.log
ProctrackType=proctrack/linuxproc
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
SchedulerParameters=batch_sched_delay=0
SlurmdTimeout=30
KillWait=5
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname=$H NodeAddr=127.0.0.1 Port=$((P + 1)) CPUs=2 RealMemory=4000
NodeName=n2 NodeHostname=$H NodeAddr=127.0.0.1 Port=$((P + 2)) CPUs=2 RealMemory=4000
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=60 State=UP
C
    export SLURM_CONF="$D/slurm.conf"
    slurmctld -i && slurmd -N n1 && slurmd -N n2
    i=0
    until [ "$(sinfo -h -N -o %T 2>/dev/null | grep -c idle)" = 2 ]; do
        i=$((i + 1))
        [ $i -lt 100 ] || { echo "slurm: nodes are not idle, see $D" >&2; exit 1; }
        sleep 0.1
    done
    echo "export SLURM_CONF=$SLURM_CONF"
    ;;
node-down) end "$D/n$3.pid" KILL ;;
node-up) slurmd -N "n$3" ;;
ctl-down) end "$D/ctld.pid" KILL ;;
ctl-up) slurmctld ;;
down) for p in n1 n2 ctld munge; do end "$D/$p.pid"; done ;;
*) sed -n 2,9p "$0" >&2; exit 2 ;;
esac

# supervise.HASH RUN TRY: runs the attempt RUN with the data of TRY, a directory in that of the attempt.
# supervise.HASH --command TRY: becomes the command.
# supervise.HASH --kill PID BORN AFTER: sends KILL to a process group after a while.
# supervise.HASH --alarm PID BORN AFTER GROUP BORN KILL_AFTER: sends ALRM to the supervisor after a while, or
#   if that was killed, ends the command in its place.
#
# It is started in the run directory of all, says one word, and then outlives whoever started it. It writes
#   started/   the fence: made once, by whoever may start or forbid the attempt
#   never      why it never runs
#   runs_as    the job of Slurm and its name
#   live       its process, that of the command, their times of birth, the boot, the start, kill-after, host
#   out, err   the output
#   exit       status, start, end, why
[ -n "$PATH" ] || export PATH=/usr/bin:/bin
# The time of birth of a process tells it from a later one of the same id. A zombie is none.
born() {
    born=
    if [ -r /proc/self/stat ]; then
        { read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
        line=${line##*') '}
        set -- $line
        [ "$1" != Z ] && [ "$1" != X ] || [ -n "$zombie" ] || return 1
        shift 19
        born=$1
    else
        born=$(ps -o lstart= -p "$1" 2>/dev/null | tr -s ' :' __)
    fi
    [ -n "$born" ]
}
zombie=
if [ "$1" = --command ]; then
    taskq_run=${2%/*} taskq_try=$2
    . "$taskq_try/settings"
    if [ -z "$taskq_has_cwd" ] || ! cd "$taskq_cwd" 2>/dev/null; then
        if [ -n "$taskq_has_cwd" ] && [ -z "$taskq_optional" ]; then
            echo "cannot enter the directory \`$taskq_cwd\`" >&2
            exit 125
        fi
        cd "${HOME:-/}" || cd /
    fi
    umask "$taskq_umask"
    # A shell without job control makes its background commands ignore INT and QUIT, for good.
    taskq_reset=
    if /usr/bin/env --default-signal=INT,QUIT true 2>/dev/null; then
        taskq_reset=env
    elif [ -x /usr/bin/perl ]; then
        taskq_reset=perl
    fi
    . "$taskq_try/command"
    case $taskq_reset$1 in
        env*=*) ;;
        env*) exec /usr/bin/env --default-signal=INT,QUIT "$@" ;;
        perl*)
            exec /usr/bin/perl -e '$SIG{INT} = $SIG{QUIT} = "DEFAULT";
                { no warnings; exec { $ARGV[0] } @ARGV }
                print STDERR "$ARGV[0]: $!\n"; exit($!{ENOENT} ? 127 : 126)' -- "$@" ;;
    esac
    exec "$@"
fi
if [ "$1" = --kill ] || [ "$1" = --alarm ]; then
    sleep "$4" || sleep "${4%.*}"
    is() { born "$1" && [ "$born" = "$2" ]; }
    if is "$2" "$3"; then
        if [ "$1" = --kill ]; then kill -KILL "-$2"
        else kill -ALRM "$2"
        fi
    elif [ "$1" = --alarm ] && is "$5" "$6"; then
        kill -TERM "-$5"
        kill -CONT "-$5"
        sleep "$7" || sleep "${7%.*}"
        ! is "$5" "$6" || kill -KILL "-$5"
    fi 2>/dev/null
    exit 0
fi
run=$1 try=$1/$2
umask 077
# Whoever asked may be gone before the answer.
trap '' HUP PIPE
# A second start ends here, wherever and whenever it is.
if ! mkdir "$run/started" 2>/dev/null; then
    [ -d "$run/started" ] && echo begun && exit 75
    echo "unsure cannot make $PWD/$run/started"
    exit 75
fi
never() {
    printf '%s\n' "$*" >"$run/never.new" && mv "$run/never.new" "$run/never"
    echo "never $*"
    exit 76
}
# The job that runs it may not be the one that was noted, if a submission was repeated.
if [ -n "$SLURM_JOB_ID" ]; then
    job=$SLURM_JOB_ID
    [ -z "$SLURM_ARRAY_TASK_ID" ] || job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
    printf '%s\n' "$job $SLURM_JOB_NAME" >"$run/job.new" && mv "$run/job.new" "$run/runs_as"
fi
[ -f "$try/settings" ] && [ -f "$try/command" ] || never "the data of the run are gone from $PWD/$try"
. "$PWD/$try/settings"
if [ -n "$taskq_has_cwd" ] && [ -z "$taskq_optional" ]; then
    (cd "$taskq_cwd") 2>/dev/null || never "cannot enter the directory \`$taskq_cwd\`"
fi
[ ! -f "$run/stop" ] || never stop
# Reserved now, because the disk may be full at the end.
blank='                                                                                '
printf '%s\n' "$blank" >"$run/exit.new" && : >"$run/out" || never "cannot write into $PWD/$run"
[ -z "$taskq_split" ] || : >"$run/err" || never "cannot write into $PWD/$run"
boot=- host=-
{ read -r boot </proc/sys/kernel/random/boot_id && read -r host </proc/sys/kernel/hostname; } 2>/dev/null ||
    host=$(uname -n)
up=
clock() {
    if { read -r now rest </proc/uptime; } 2>/dev/null; then
        cents=1${now#*.}
        now=$((${now%.*} * 1000000 + (cents - 100) * 10000))
    else
        now=$(date +%s)000000
    fi
}
since=$(date +%s%N)
case $since in
    *[!0-9]* | ?????????? | ??????????? | ????????????) since=$(date +%s)000000 ;;
    *) since=${since%???} ;;
esac
clock
up=$now
echo started
exec >/dev/null 2>&1
why= c= birth= early= killer= timer=
group() { kill "-$1" "-$c"; }
# Once. `$2` says whether the command has been told already.
terminate() {
    why=${why:-$1}
    if [ -z "$2" ]; then
        group TERM || kill -TERM "$c"
        group CONT
    fi
    [ -z "$killer" ] || return
    setsid sh "$0" --kill "$c" "$birth" "$taskq_after" &
    killer=$!
}
# A stop of taskq leaves a word. Slurm without that word has told all processes of the job itself.
stopped() {
    word=
    { read -r word <"$run/stop"; } 2>/dev/null
    [ -n "$birth" ] || { early=yes; return; }
    if [ "$word" = kill ]; then
        why=${why:-kill}
        group KILL || kill -KILL "$c"
    elif [ -z "$word" ]; then
        terminate stop "$SLURM_JOB_ID"
    else
        terminate stop
    fi
}
trap 'again=yes; stopped' TERM
trap 'again=yes; terminate timeout' ALRM
trap 'again=yes; group STOP' USR1
trap 'again=yes; group CONT' USR2
[ -z "$taskq_nice" ] || set -- nice -n "$taskq_nice"
[ -n "$taskq_nice" ] || set --
error=out
[ -z "$taskq_split" ] || error=err
(
    trap - HUP INT QUIT PIPE
    exec "$@" setsid sh "$PWD/$0" --command "$PWD/$try" <"$try/stdin" >>"$run/out" 2>>"$run/$error"
) &
c=$!
zombie=yes
born $$
self=${born:--}
born "$c"
birth=${born:--}
zombie=
# Before the supervisor can be known, and killed.
if [ -n "$taskq_timeout" ]; then
    setsid sh "$0" --alarm $$ "$self" "$taskq_timeout" "$c" "$birth" "$taskq_after" &
    timer=$!
fi
printf '%s\n' "$$ $self $c $birth $boot $since $taskq_after $host" >"$run/live.new" &&
    mv "$run/live.new" "$run/live"
[ ! -f "$run/stop" ] && [ -z "$early" ] || stopped
# A trap ends a wait. A shell forgets a status that it has said, and says 127 then.
code=
while :; do
    again=
    wait "$c"
    status=$?
    [ "$status" = 127 ] && [ -n "$code" ] || code=$status
    [ -n "$again" ] || break
done
trap '' ALRM
# A stopped run ends with its last process.
if [ -n "$why" ]; then
    while group 0; do
        [ -n "$killer" ] && born "$killer" || { group KILL; break; }
        sleep 0.1 || sleep 1
    done
fi
clock
line="$code $since $((since + now - up)) ${why:-itself}"
until printf '%-80.80s\n' "$line" 1<>"$run/exit.new" && { sync "$run/exit.new" || :; } &&
    mv "$run/exit.new" "$run/exit"; do
    sleep 1
done
# A signal is lost on a child that has not become another program yet.
for child in $timer $killer; do
    tries=0
    while born "$child" && [ "$tries" -lt 100 ]; do
        kill -TERM "-$child" || kill -TERM "$child"
        tries=$((tries + 1))
        ! born "$child" || sleep 0.02 || sleep 1
    done
done
exit "$code"

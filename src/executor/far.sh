# The far side: reads acts after these functions, on the same standard input, and prints records.
#
# What it keeps is below the run directory: a directory NAME for each attempt (see supervise.sh), with a
# directory for the data of each try to start it. `NAME/started` is the fence: whoever makes it may start the
# attempt, or makes sure that it never starts.
[ -n "$PATH" ] || export PATH=/usr/bin:/bin
# A writer to a closed connection ends here, whatever was inherited.
say() { printf '%s\n' "$*" 2>/dev/null || exit 1; }
# A truncated line lacks its last word.
whole() {
    shift $(($# - 1))
    [ "$1" = . ] || { say "problem a line of the request is truncated"; exit 1; }
}
# Returns whether the process PID with the time of birth BORN lives. A zombie does not.
lives() {
    if [ -r /proc/self/stat ]; then
        { read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
        born=$2
        line=${line##*') '}
        set -- $line
        [ "$1" != Z ] && [ "$1" != X ] || return 1
        shift 19
        [ "$1" = "$born" ]
    else
        [ "$(ps -o lstart= -p "$1" 2>/dev/null | tr -s ' :' __)" = "$2" ]
    fi
}
# Sets self: the time of birth of this shell.
birth_of_shell() {
    self=-
    { read -r line <"/proc/$$/stat"; } 2>/dev/null || return
    line=${line##*') '}
    set -- $line
    shift 19
    self=$1
}
# Sets up (microseconds since the boot) and epoch (of the boot).
clock() {
    if { read -r up rest </proc/uptime; } 2>/dev/null; then
        cents=1${up#*.}
        up=$((${up%.*} * 1000000 + (cents - 100) * 10000))
    else
        up=$(date +%s)000000
    fi
}
# One line of what a program said.
folded() {
    words=
    while read -r line || [ -n "$line" ]; do
        [ -z "$line" ] || words="$words${words:+; }$line"
    done
    printf '%s' "$words"
}
# begin TOKEN RUNDIR VERSION ENGINE SERIAL [TEMPLATE...] .
begin() {
    whole "$@"
    umask 077
    token=$1 base=$2 engine=$4
    supervise=supervise.$3 serial=$5
    submit_with=$6 status_with=$7 cancel_with=$8 logs_with=$9
    boot=- host=-
    { read -r boot </proc/sys/kernel/random/boot_id && read -r host </proc/sys/kernel/hostname; } \
        2>/dev/null || host=$(uname -n)
    now=$(date +%s%N)
    case $now in
        *[!0-9]* | ?????????? | ??????????? | ????????????) now=$(date +%s)000000 ;;
        *) now=${now%???} ;;
    esac
    say "taskq-far 1 $token $now $boot $host"
    case $base in
        '') base=${HOME:-/nonexistent}/.local/state/taskq/far ;;
        /*) ;;
        *) base=${HOME:-/nonexistent}/$base ;;
    esac
    words=$({ mkdir -p -- "$base" && cd -- "$base"; } 2>&1 </dev/null) && cd -- "$base" || {
        say "problem cannot use the run directory $base: $(printf '%s' "$words" | folded)"
        finish .
        exit 0
    }
    base=$PWD
    try=try.$$.${boot%%-*}
    if [ ! -f "$supervise" ]; then
        words=$( { supervisor >"$supervise.$try" && [ -s "$supervise.$try" ] &&
            mv "$supervise.$try" "$supervise"; } 2>&1 </dev/null) || {
            rm -f "$supervise.$try" 2>/dev/null
            say "problem cannot write into the run directory $base: $(printf '%s' "$words" | folded)"
            finish .
            exit 0
        }
    fi
    for tool in setsid mkdir mv rm cat ls head tail sed sleep date; do
        command -v "$tool" >/dev/null || say "problem there is no $tool on $host"
    done
}
warn() { whole "$@"; say "warning $1"; }
finish() { whole "$@"; say "bye $token"; }
# Rings the bell that ends the looks of earlier requests.
ring() { clock; { printf '%s\n' "$serial $up" >"$token.bell"; } 2>/dev/null; }
# Takes the fence and records the cause, or says how it stands. Sets taken to yes if nothing will ever run.
forbid() {
    taken=
    mkdir -p "$1" 2>/dev/null </dev/null
    if mkdir "$1/started" 2>/dev/null </dev/null; then
        taken=yes
        { printf '%s\n' "$2" >"$1/never"; } 2>/dev/null
    elif [ -f "$1/never" ]; then
        taken=yes
    fi
}
# prepare NAME... . : makes the directories of all that was not begun.
prepare() {
    whole "$@"
    new= why=
    for name in "$@"; do
        [ "$name" != . ] || break
        if [ -d "$name/started" ] || [ -f "$name/batch" ]; then begun="$begun$name "
        else new="$new $name/$try"
        fi
    done
    [ -z "$new" ] || why=$(mkdir -p $new 2>&1 </dev/null | folded)
    ring
}
begun=' ' failed=' '
# put NAME FILE DATA . : adds to a file of the try.
put() {
    whole "$@"
    case $begun$failed in *" $1 "*) return ;; esac
    { printf %b "$3" >>"$1/$try/$2"; } 2>/dev/null && return
    failed="$failed$1 "
    # cat(1) says why, other than some shells.
    words=$( { printf %b "$3" | cat >>"$1/$try/$2"; } 2>&1 | folded)
    why=${why:-cannot write into $base/$1: ${words:-it is full}}
    rm -rf "$1/$try" </dev/null
}
# Says that the data of a run could not be written.
refuse() {
    forbid "$1" "$why"
    if [ -n "$taken" ]; then say "notstarted $1 $why"
    elif [ -d "$1/started" ]; then say "begun $1"
    else say "unsure $1 $why"
    fi
}
# start NAME . : one word of its supervisor tells all.
start() {
    whole "$@"
    [ "$engine" = direct ] || { hand_over "$1"; return; }
    case $begun in *" $1 "*) say "begun $1"; return ;; esac
    case $failed in *" $1 "*) refuse "$1"; return ;; esac
    # The second setsid leaves a child behind, without `&`, which would make it ignore INT and QUIT.
    word=$(setsid setsid sh "./$supervise" "$1" "$try" </dev/null 2>/dev/null)
    case $word in
        started) say "started $1" ;;
        begun) say "begun $1"; rm -rf "$1/$try" </dev/null ;;
        'never stop') say "never $1" ;;
        never*) say "notstarted $1 ${word#never }" ;;
        unsure*) say "unsure $1 ${word#unsure }" ;;
        *) say "unsure $1 its supervisor did not answer" ;;
    esac
}
# Reads NAME/live.
live() {
    super=- pid=- since=0
    { read -r super self pid birth at since after on <"$1/live"; } 2>/dev/null
}
# stop NAME stop|kill .
stop() {
    whole "$@"
    ring
    if [ ! -d "$1/started" ]; then
        forbid "$1" stop
        if [ -n "$taken" ]; then
            [ "$engine" = direct ] || stop_engine "$1" "$2"
            say "never $1"
            say "stopped $1"
            return
        fi
        [ -d "$1/started" ] || { say "unsure $1 cannot write into $base/$1"; return; }
    fi
    if [ -f "$1/exit" ] || [ -f "$1/never" ] || [ -f "$1/forgotten" ]; then
        say "stopped $1"
        return
    fi
    # `kill` is not taken back.
    { read -r word <"$1/stop"; } 2>/dev/null || word=
    [ "$word" = kill ] || { printf '%s\n' "$2" >"$1/stop.$$" && mv "$1/stop.$$" "$1/stop"; } \
        2>/dev/null </dev/null || say "warning cannot write into $base/$1"
    live "$1"
    if [ "$engine" != direct ]; then
        stop_engine "$1" "$2" && say "stopped $1"
        return
    fi
    # Without this file the supervisor has not come so far, and finds the word.
    if [ "$at" = "$boot" ] && [ "$pid" != - ]; then
        if lives "$super" "$self"; then
            kill -TERM "$super"
        elif lives "$pid" "$birth"; then
            if [ "$2" = kill ]; then kill -KILL "-$pid"
            else
                kill -TERM "-$pid"
                kill -CONT "-$pid"
                setsid setsid sh "./$supervise" --kill "$pid" "$birth" "$after" </dev/null >/dev/null 2>&1
            fi
        fi 2>/dev/null
    fi
    say "stopped $1"
}
# signal NAME STOP|CONT . : to the command; the supervisor keeps its times.
signal() {
    whole "$@"
    live "$1"
    if [ "$engine" != direct ]; then
        signal_engine "$1" "$2" && say "signaled $1"
        return
    fi
    [ "$at" != "$boot" ] || ! lives "$pid" "$birth" || kill "-$2" "-$pid" 2>/dev/null
    say "signaled $1"
}
# forget NAME . : leaves the fence, so that a start that comes hours later starts nothing.
forget() {
    whole "$@"
    forbid "$1" forgotten
    { : >"$1/forgotten"; } 2>/dev/null
    name=$1
    set --
    for file in "$name"/*; do
        case $file in */started | */forgotten) ;; *) set -- "$@" "$file" ;; esac
    done
    [ "$#" -eq 0 ] || rm -rf "$@" 2>/dev/null </dev/null
    if [ -d "$name/started" ]; then say "forgotten $name"
    else say "unsure $name cannot write into $base/$name"
    fi
    # Now and then, those of yesterday go.
    [ -z "$swept" ] || return
    swept=yes
    [ -z "$(find "$token.swept" -mmin -60 2>/dev/null </dev/null)" ] || return
    { : >"$token.swept"; } 2>/dev/null
    for file in $(find . -maxdepth 2 -name forgotten -mtime +0 2>/dev/null </dev/null); do
        case $file in "./$token".*) rm -rf "${file%/forgotten}" </dev/null ;; esac
    done
}
swept=

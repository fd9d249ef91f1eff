# Looks at runs: with builtins, and one ls(1) for all sizes.
#
# look WAIT BYTES RUN... . : RUN is JOB.NUMBER.ATTEMPT:OUT:ERR:KNOWN, WAIT in hundredths of a second.
look() {
    whole "$@"
    bytes=$2
    clock
    deadline=$((up + $1 * 10000)) beat=$((up + 2000000)) asked=0
    shift 2
    bell= rung=0
    { read -r bell rung <"$token.bell"; } 2>/dev/null
    # It rang for a later request, which was quicker. A bell of long ago may be of a clock that was set back.
    [ "${bell:-0}" -le "$serial" ] || [ "$rung" -lt $((up - 10000000)) ] || [ "$rung" -gt "$up" ] ||
        deadline=0
    # A string that grew by each of them would be copied each time.
    paths=$(for run in "$@"; do
        [ "$run" != . ] || break
        name=$token.${run%%:*}
        printf '%s ' "$name/exit $name/never $name/live $name/out $name/err"
    done)
    pause=0.2
    [ "$#" -le 200 ] || pause=0.5
    while :; do
        # Taken before the evaluation, so that nothing new is overlooked.
        before=$(ls -dn $paths 2>/dev/null </dev/null)
        [ "$engine" = direct ] || ask_engine "$@"
        news= pending=0
        evaluate "$@"
        [ -z "$news" ] || break
        clock
        [ "$up" -lt "$deadline" ] || break
        # Engines are asked anew every five seconds.
        again=$((up + 5000000))
        while :; do
            sleep "$pause" </dev/null 2>/dev/null || sleep 1 </dev/null
            ringing=
            { read -r ringing rung <"$token.bell"; } 2>/dev/null
            [ "$ringing" = "$bell" ] || deadline=0
            clock
            [ "$up" -lt "$deadline" ] || break
            if [ "$up" -gt "$beat" ]; then
                # Nobody may listen any more.
                say wait
                beat=$((up + 2000000))
            fi
            [ "$engine" = direct ] || [ "$up" -lt "$again" ] || break
            now=$(ls -dn $paths 2>/dev/null </dev/null)
            [ "$now" = "$before" ] || break
        done
    done
    report "$@"
}
# Sets state_KEY for each run, and news if the asker does not know it all. KEY is JOB_NUMBER_ATTEMPT.
evaluate() {
    results=
    for run in "$@"; do
        [ "$run" != . ] || break
        split "$run"
        state
        eval "state_$key=\$state"
        case $state:$known in
            waiting*:w | 'waiting is starting:r' | running*:r | unattended*:u | unsure*:[wru]) ;;
            *) news=yes ;;
        esac
    done
    # Sizes after states: the end of a run comes with all its output.
    sizes
    for run in "$@"; do
        [ "$run" != . ] || break
        split "$run"
        eval "out=\${size_${key}_out:-0} err=\${size_${key}_err:-0}"
        [ "$out" -le "$from_out" ] || { news=yes pending=$((pending + 1)); }
        [ "$err" -le "$from_err" ] || { news=yes pending=$((pending + 1)); }
    done
}
split() {
    id=${1%%:*} rest=${1#*:}
    from_out=${rest%%:*} rest=${rest#*:}
    from_err=${rest%%:*} known=${rest#*:}
    key=${id%%.*}_ rest=${id#*.}
    key=$key${rest%%.*}_${rest#*.}
    name=$token.$id
}
# Reads the sizes of all files of output. Only digits and known names come into the evaluated text.
sizes() {
    eval "$(LC_ALL=C ls -dn $paths $results 2>/dev/null </dev/null | LC_ALL=C sed -n "$of_list")"
}
of_list='/live$/d;/exit$/d;/never$/d'
of_list=$of_list';s/^[^ ]* *[^ ]* *[^ ]* *[^ ]* *\([0-9]\{1,\}\) .* [0-9a-f]*\.\([0-9]\{1,\}\)\.'
of_list=$of_list'\([0-9]\{1,\}\)\.\([0-9]\{1,\}\)\/\([a-z]\{1,\}\)$/size_\2_\3_\4_\5=\1/p'
# Sets state for the run of split: the words of its record.
state() {
    if [ ! -d "$name" ] || [ -f "$name/forgotten" ]; then state=none; return; fi
    if ended; then return; fi
    if [ -f "$name/never" ]; then
        { read -r word <"$name/never"; } 2>/dev/null
        case $word in
            stop) state=never ;;
            *) state="notstarted $word" ;;
        esac
        return
    fi
    if [ "$engine" != direct ]; then state_engine; return; fi
    if [ ! -d "$name/started" ]; then state=none; return; fi
    live "$name"
    if [ "$pid" = - ]; then
        # It is starting, or was killed there.
        if [ -n "$(find "$name/started" -prune -mmin +1 2>/dev/null </dev/null)" ]; then state='gone started'
        else state='waiting is starting'
        fi
    elif [ "$at" = "$boot" ]; then
        if lives "$super" "$self"; then state="running $since $pid"
        # It may have ended between.
        elif ended; then return
        elif lives "$pid" "$birth"; then state="unattended $pid"
        else state='gone started'
        fi
    elif [ "$on" = "$host" ]; then state='gone started'
    else state="unsure it runs on $on, and this is $host"
    fi
}
# Sets state if the end is recorded.
ended() {
    { read -r code started at why rest <"$name/exit"; } 2>/dev/null || return 1
    [ -n "$why" ] || return 1
    state="ended $code $started $at $why supervisor"
    [ ! -s "$name/result" ] || results="$results $name/result"
}
# Says output, results and states.
report() {
    for run in "$@"; do
        [ "$run" != . ] || break
        split "$run"
        eval "state=\$state_$key out=\${size_${key}_out:-0} err=\${size_${key}_err:-0}"
        eval "size=\${size_${key}_result:-0}"
        piece out "$from_out" "$out"
        piece err "$from_err" "$err"
        case $state in
            ended*) [ "$size" -eq 0 ] || result "$size" ;;
        esac
        say "${state%% *} $name${state#"${state%% *}"}"
    done
}
# Says a piece of output, with a fair share of what may be sent.
piece() {
    count=$(($3 - $2))
    if [ "$count" -gt 0 ]; then
        share=$((bytes / (pending > 0 ? pending : 1)))
        pending=$((pending - 1))
        [ "$count" -le "$share" ] || count=$share
        bytes=$((bytes - count))
    else
        case $state:$3 in ended*:[1-9]*) ;; *) return ;; esac
        count=0
    fi
    say "output $name $1 $2 $3 $count"
    if [ "$count" -gt 0 ]; then
        if [ "$2" -eq 0 ]; then head -c "$count" "$name/$1"
        else tail -c "+$(($2 + 1))" "$name/$1" | head -c "$count"
        fi </dev/null 2>/dev/null
    fi
    say
}
result() {
    count=$1
    [ "$count" -le 65536 ] || count=65536
    say "result $name $count"
    head -c "$count" "$name/result" </dev/null
    say
}

# Slurm. An attempt has besides
#   batch  before sbatch(1) is called: job name, index in the array or `-`, who calls it, and the try
#   job    after that: the id of the job, `4711` or `4711_3`
#   over   when Slurm was first seen to be done with it, while no end is recorded
# Reads NAME/batch and NAME/job.
submission() {
    batch= index=- by=- by_birth=- by_boot=- of_try= job=
    { read -r batch index by by_birth by_boot of_try <"$1/batch"; } 2>/dev/null
    { read -r job <"$1/job"; } 2>/dev/null
    [ ! -f "$1/runs_as" ] || { read -r job batch <"$1/runs_as"; } 2>/dev/null
}
note_job() {
    submission "$1"
    job=$2
    [ "$index" = - ] || job=${2}_$index
    { printf '%s\n' "$job" >"$1/job"; } 2>/dev/null
}
# Whether these words of a Slurm command say no for good. All others may be of a controller that is away.
is_refusal() {
    case $1 in
        *ontact* | *'imed out'* | *timeout* | *onnect* | *tandby* | *emporarily* | *'Zero Bytes'*) return 1 ;;
        *ocket* | *uthenticat* | *redential* | *ommunicat* | *ransport* | *unge*) return 1 ;;
        *'nexpected message'* | *'not found'* | *'Unspecified error'* | *I/O*) return 1 ;;
        *rror*) return 0 ;;
        *) return 1 ;;
    esac
}
# Sets found to the id of the job with this name, or to nothing; fails if Slurm does not answer.
find_job() {
    found=$(squeue -h -t all -n "$1" -o %F 2>&1 </dev/null) || {
        found=$(printf '%s' "$found" | folded)
        return 1
    }
    found=${found%%
*}
    case $found in *[!0-9]*) return 1 ;; esac
}
# submit COUNT OPTION... NAME... . : as one job, or one array, or several of them.
submit() {
    whole "$@"
    count=$1 n=0 names=
    shift
    for word in "$@"; do
        shift
        if [ "$n" -lt "$count" ]; then set -- "$@" "$word"
        elif [ "$word" != . ]; then names="$names $word"
        fi
        n=$((n + 1))
    done
    looked_for= fresh= n=0
    for name in $names; do
        case $failed in *" $name "*) refuse "$name"; continue ;; esac
        case $begun in
            *" $name "*) again "$name" || continue ;;
            *) of_try=$try ;;
        esac
        eval "try_$n=\$of_try"
        fresh="$fresh $name"
        n=$((n + 1))
    done
    [ -n "$fresh" ] || return
    most=1
    if [ "$n" -gt 1 ]; then
        most=$(scontrol show config 2>/dev/null </dev/null | while read -r key equals value; do
            [ "$key" != MaxArraySize ] || printf '%s' "$value"
        done)
        case $most in '' | *[!0-9]*) most=1001 ;; 0) most=1 ;; esac
    fi
    birth_of_shell
    piece= size=0 n=0
    for name in $fresh; do
        piece="$piece $name"
        size=$((size + 1))
        [ "$size" -lt "$most" ] || { submit_piece "$@"; piece= size=0; }
    done
    [ "$size" -eq 0 ] || submit_piece "$@"
}
# A start of what was begun: fails if there is nothing to submit.
again() {
    submission "$1"
    if [ -d "$1/started" ] || [ -n "$job" ] || [ -z "$batch" ]; then say "begun $1"; return 1; fi
    if [ "$by_boot" = "$boot" ] && [ "$by" != $$ ] && lives "$by" "$by_birth"; then
        say "unsure $1 it is being submitted"
        return 1
    fi
    if [ "$looked_for" != "$batch" ]; then
        find_job "$batch" || { say "unsure $1 squeue: $found"; return 1; }
        looked_for=$batch
    fi
    [ -n "$found" ] || return 0
    note_job "$1" "$found"
    say "begun $1"
    return 1
}
batch_script() {
    printf '%s\n' '#!/bin/sh' "set -- $*" '[ -z "$SLURM_ARRAY_TASK_ID" ] || shift "$SLURM_ARRAY_TASK_ID"' \
        "[ -f ./$supervise ] || exit 74" 'read -r batch index by birth boot try <"$1/batch" || exit 74' \
        "exec sh ./$supervise \"\$1\" \"\$try\" </dev/null >/dev/null 2>&1"
}
submit_piece() {
    batch=${piece# }
    batch=${batch%% *}
    index=- sent= position=0
    for name in $piece; do
        eval "of_try=\$try_$n"
        n=$((n + 1))
        [ "$size" -eq 1 ] || index=$position
        if { printf '%s\n' "$batch $index $$ $self $boot $of_try" >"$name/batch"; } 2>/dev/null; then
            sent="$sent $name"
            position=$((position + 1))
        else
            why="cannot write into $base/$name"
            refuse "$name"
        fi
    done
    [ "$position" -gt 0 ] || return
    [ "$size" -eq 1 ] || set -- "--array=0-$((position - 1))" "$@"
    words=$(batch_script $sent | sbatch --parsable --no-requeue -J "$batch" --comment "$batch" \
        --chdir "$base" -o /dev/null "$@" 2>&1)
    id= said=
    while read -r line; do
        case ${line%%;*} in
            '' | *[!0-9]*) said="$said${said:+; }$line" ;;
            *) id=${line%%;*} ;;
        esac
    done <<TASKQ_LINES
$words
TASKQ_LINES
    for name in $sent; do
        if [ -n "$id" ]; then
            note_job "$name" "$id"
            say "started $name"
        elif is_refusal "$said"; then
            forbid "$name" "$said"
            if [ -n "$taken" ]; then say "notstarted $name $said"
            else say "begun $name"
            fi
        else
            say "unsure $name ${said:-sbatch said nothing}"
        fi
    done
}
# Asks once for the jobs of all runs.
ask_engine() {
    queue_error=
    queue=$(squeue -h -r -t all -u "$(id -un)" -o '%j %i %T %r' 2>&1 </dev/null) || {
        queue_error="squeue: $(printf '%s' "$queue" | folded)"
        return
    }
    jobs_known=
    while read -r of id word reason; do
        case $of:$id in
            "$token".*:*[!0-9_]*) continue ;;
            "$token".*) ;;
            *) continue ;;
        esac
        eval "word_$id=\$word reason_$id=\$reason of_$id=\$of"
        of=${of#"$token".}
        rest=${of#*.}
        # A name that is no attempt of this store must not be evaluated.
        case ${of%%.*}${rest%%.*}${rest#*.} in
            *[!0-9]*) ;;
            *) eval "id_${of%%.*}_${rest%%.*}_${rest#*.}=\${id%%_*}" ;;
        esac
        jobs_known="$jobs_known $id"
    done <<TASKQ_LINES
$queue
TASKQ_LINES
    asks=0
}
# Sets state for a run whose end is not recorded.
state_engine() {
    submission "$name"
    if [ -z "$job" ] && [ -n "$batch" ]; then
        of=${batch#"$token".}
        rest=${of#*.}
        eval "found=\$id_${of%%.*}_${rest%%.*}_${rest#*.}"
        if [ -n "$found" ]; then note_job "$name" "$found"
        elif [ "$by_boot" = "$boot" ] && lives "$by" "$by_birth"; then
            state='waiting is being submitted'
            return
        elif [ -n "$queue_error" ]; then state="unsure $queue_error"; return
        fi
    fi
    if [ -z "$job" ]; then
        state=none
        [ ! -d "$name/started" ] || state='gone started'
        return
    fi
    if [ -n "$queue_error" ]; then state="unsure $queue_error"; return; fi
    eval "word=\$word_$job reason=\$reason_$job of=\$of_$job"
    [ -z "$batch" ] || [ "$of" = "$batch" ] || word=
    case $word in
        COMPLETED | FAILED | CANCELLED | TIMEOUT | OUT_OF_MEMORY) over ;;
        NODE_FAIL | PREEMPTED | BOOT_FAIL | DEADLINE) over ;;
        # An answer without it is no word about it.
        '') over ;;
        PENDING | CONFIGURING | REQUEUE* | SPECIAL_EXIT)
            state="waiting Slurm job $job is $word${reason:+ ($reason)}" ;;
        *)
            live "$name"
            if [ "$pid" != - ]; then state="running $since $pid"
            else state="waiting Slurm job $job is $word"
            fi ;;
    esac
}
# The job is over or not in the list.
over() {
    # Each is a call of its own, so that some wait for the next look.
    asks=$((asks + 1))
    if [ "$asks" -gt 20 ]; then state="unsure Slurm job $job is not asked for yet"; return; fi
    shown=$(scontrol -o show job "$job" 2>&1 </dev/null)
    status=$?
    case $shown in
        *JobName=*JobState=*)
            word=${shown##*JobState=}
            word=${word%% *}
            exit=${shown##* ExitCode=}
            exit=${exit%% *}
            case "$shown " in
                *" JobName=$batch "*) ;;
                # A controller that lost its state counts from 1 again.
                *) [ -z "$batch" ] || { word=FORGOTTEN exit=:; } ;;
            esac ;;
        *'nvalid job id'*) word=FORGOTTEN exit=: ;;
        *) state="unsure scontrol: $(printf '%s' "$shown" | folded) ($status)"; return ;;
    esac
    case $word in
        COMPLETED | FAILED | CANCELLED | TIMEOUT | OUT_OF_MEMORY | FORGOTTEN) ;;
        NODE_FAIL | PREEMPTED | BOOT_FAIL | DEADLINE) ;;
        *) state="unsure Slurm job $job is $word, and was not in the list"; return ;;
    esac
    # The end may be on its way over a network file system.
    clock
    { read -r seen <"$name/over"; } 2>/dev/null || {
        seen=$up
        printf '%s\n' "$up" >"$name/over"
    } 2>/dev/null
    if ended; then return; fi
    if [ "$up" -ge "$seen" ] && [ "$up" -lt $((seen + 10000000)) ]; then
        state="unsure Slurm job $job is $word, and its end is not in the run directory yet"
        return
    fi
    if [ ! -d "$name/started" ]; then
        if [ "$word" = FORGOTTEN ]; then state='gone waiting'; return; fi
        why="Slurm job $job was $word before it started"
        [ "${exit%:*}" != 74 ] || why="$why: its node has no directory $base"
        forbid "$name" "$why"
        if [ -n "$taken" ]; then state="notstarted $why"
        else state="unsure Slurm job $job is $word"
        fi
        return
    fi
    case $word in
        FORGOTTEN | NODE_FAIL | BOOT_FAIL) state='gone started'; return ;;
    esac
    code=${exit%:*} signal=${exit#*:}
    case $code:$signal in
        *[!0-9:]* | :* | *:) state="unsure scontrol shows the exit code $exit"; return ;;
        *:0) [ "$code" -ne 0 ] || [ "$word" = COMPLETED ] || code=1 ;;
        *) code=$((signal < 65 ? 128 + signal : 137)) ;;
    esac
    { read -r by <"$name/stop"; } 2>/dev/null || by=
    case $word:$by in
        *:stop | *:kill) ;;
        TIMEOUT: | DEADLINE:) by=timeout ;;
        CANCELLED: | PREEMPTED:) by=stop ;;
        *) by=itself ;;
    esac
    state="ended $code - - $by engine"
}
# Sets job, also of a submission whose end nobody saw; fails if Slurm does not answer.
job_of() {
    submission "$1"
    [ -z "$job" ] && [ -n "$batch" ] || return 0
    find_job "$batch" || { say "unsure $1 squeue: $found"; return 1; }
    [ -z "$found" ] || note_job "$1" "$found"
}
# A gentle stop goes to the supervisor, which knows what it was told; all else to all processes.
stop_engine() {
    job_of "$1" || return 1
    [ -n "$job" ] || return 0
    if [ "$2" = stop ] && [ -f "$1/live" ]; then set -- "$1" -b -s TERM
    else set -- "$1"
    fi
    tell_job "$@"
}
signal_engine() {
    job_of "$1" || return 1
    [ -n "$job" ] && [ -f "$1/live" ] || return 0
    case $2 in
        STOP) tell_job "$1" -b -s USR1 ;;
        *) tell_job "$1" -b -s USR2 ;;
    esac
}
tell_job() {
    name=$1
    shift
    words=$(scancel "$@" "$job" 2>&1 </dev/null) && return 0
    case $words in
        *'nvalid job id'* | *'already complet'*) return 0 ;;
    esac
    say "unsure $name scancel: $(printf '%s' "$words" | folded)"
    return 1
}

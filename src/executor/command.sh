# Engines of the user's templates. An attempt has besides
#   batch   before the submission: who submits, and the try
#   job     the id that the submission printed
#   seen    when the engine was first seen to run it, or to be done with it
# A template that uses TASKQ_FAR_COMMAND has no run directory over there: its runs have no supervisor, and the
# fence is taken here, before the first submission.
is_shared() { case $submit_with in *TASKQ_FAR_COMMAND*) return 1 ;; esac; }
submission() {
    by= by_birth=- by_boot=- of_try= job=
    { read -r by by_birth by_boot of_try <"$1/batch"; } 2>/dev/null
    { read -r job <"$1/job"; } 2>/dev/null
}
quoted() {
    rest=$1 text=
    while :; do
        case $rest in
            *\'*)
                text="$text${rest%%\'*}'\\''"
                rest=${rest#*\'} ;;
            *) break ;;
        esac
    done
    printf "'%s'" "$text$rest"
}
# Runs a template for an attempt; its standard error goes to NAME/words.
template() {
    TASKQ_FAR_NAME=$1 TASKQ_FAR_ID=$job TASKQ_FAR_SCRIPT=$base/$1/$of_try/script \
        sh -c "$2" </dev/null 2>"$1/words"
}
said() { folded <"$1/words"; } 2>/dev/null
hand_over() {
    case $failed in *" $1 "*) refuse "$1"; return ;; esac
    submission "$1"
    # What was begun without an id is submitted again: the template submits a name once.
    if [ -n "$job" ] || { [ -d "$1/started" ] && { is_shared || [ -z "$by" ]; }; }; then
        say "begun $1"
        return
    fi
    if [ "$by_boot" = "$boot" ] && [ "$by" != $$ ] && lives "$by" "$by_birth"; then
        say "unsure $1 it is being submitted"
        return
    fi
    of_try=${of_try:-$try}
    birth_of_shell
    printf '%s\n' '#!/bin/sh' "cd -- $(quoted "$base") || exit 74" \
        "exec sh ./$supervise $1 $of_try </dev/null >/dev/null 2>&1" >"$1/$of_try/script" &&
        printf '%s\n' "$$ $self $boot $of_try" >"$1/batch.$$" && mv "$1/batch.$$" "$1/batch" || {
            why="cannot write into $base/$1"
            refuse "$1"
            return
        }
    if ! is_shared && ! mkdir "$1/started" 2>/dev/null </dev/null; then
        # Only an earlier submission may have made it.
        [ -n "$by" ] && [ ! -f "$1/never" ] || { say "begun $1"; return; }
    fi
    TASKQ_FAR_COMMAND=$(cat "$1/$of_try/argv" </dev/null)
    export TASKQ_FAR_COMMAND
    out=$(template "$1" "$submit_with")
    status=$?
    unset TASKQ_FAR_COMMAND
    id=${out%%
*}
    case $status:$id in
        0:?*)
            printf '%s\n' "$id" >"$1/job.$$" && mv "$1/job.$$" "$1/job" </dev/null
            say "started $1" ;;
        100:*)
            why="submit: $(said "$1")"
            forbid "$1" "$why"
            is_shared || printf '%s\n' "$why" >"$1/never"
            say "notstarted $1 $why" ;;
        0:) say "unsure $1 submit printed no id" ;;
        *) say "unsure $1 submit: $(said "$1") ($status)" ;;
    esac 2>/dev/null
}
ask_engine() { :; }
state_engine() {
    submission "$name"
    if [ -z "$job" ]; then
        state=none
        if [ "$by_boot" = "$boot" ] && lives "$by" "$by_birth"; then state='waiting is being submitted'
        elif is_shared && [ -d "$name/started" ]; then state='gone started'
        fi
        return
    fi
    out=$(template "$name" "$status_with")
    status=$?
    out=${out%%
*}
    word=${out%% *} rest=${out#"${out%% *}"}
    case $status:$word:${rest# } in
        0:pending:*) state="waiting ${rest:-is pending}" ;;
        0:running:) running ;;
        0:exit:?*) over "${rest# }" 255 0 ;;
        0:signal:?*) over "${rest# }" 127 128 ;;
        0:lost:)
            state='gone waiting'
            [ ! -d "$name/started" ] || state='gone started' ;;
        *) state="unsure status: $out${out:+ }$(said "$name") ($status)" ;;
    esac
    case $state in
        running* | ended*) is_shared || [ -z "$logs_with" ] || fetch ;;
    esac
}
# The output, for an engine without the run directory.
fetch() {
    template "$name" "$logs_with" >"$name/out.$$" && mv "$name/out.$$" "$name/out" </dev/null
    rm -f "$name/out.$$" </dev/null
}
running() {
    live "$name"
    if [ "$pid" != - ]; then state="running $since $pid"; return; fi
    if is_shared; then state='waiting is running, and has not begun'; return; fi
    { read -r since <"$name/seen"; } 2>/dev/null || {
        since=$now
        printf '%s\n' "$now" >"$name/seen"
    } 2>/dev/null
    state="running $since 0"
}
# over NUMBER MOST ADDED: the engine says how it ended.
over() {
    case $1 in *[!0-9]* | ????*) state="unsure status: $out"; return ;; esac
    [ "$1" -le "$2" ] || { state="unsure status: $out"; return; }
    if ended; then return; fi
    if is_shared; then
        clock
        { read -r seen <"$name/seen"; } 2>/dev/null || {
            seen=$up
            printf '%s\n' "$up" >"$name/seen"
        } 2>/dev/null
        if [ "$up" -ge "$seen" ] && [ "$up" -lt $((seen + 10000000)) ]; then
            state="unsure status: $out, and the end is not in the run directory yet"
            return
        fi
        if [ ! -d "$name/started" ]; then
            why="status: $out, before it started"
            forbid "$name" "$why"
            if [ -n "$taken" ]; then state="notstarted $why"; else state="unsure $why"; fi
            return
        fi
    fi
    { read -r by <"$name/stop"; } 2>/dev/null || by=itself
    state="ended $(($1 + $3)) - - $by engine"
}
stop_engine() {
    submission "$1"
    [ -n "$by" ] || return 0
    TASKQ_FAR_STOP=$2
    export TASKQ_FAR_STOP
    template "$1" "$cancel_with" >/dev/null
    status=$?
    unset TASKQ_FAR_STOP
    [ "$status" -ne 0 ] || return 0
    say "unsure $1 cancel: $(said "$1") ($status)"
    return 1
}
signal_engine() {
    say "unsure $1 this executor cannot suspend"
    return 1
}

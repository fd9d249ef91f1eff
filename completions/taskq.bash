# Completions of taskq for bash. Put this file, as `taskq`, into
# ~/.local/share/bash-completion/completions, or source it.
#
# Made by `taskq completions bash`. All candidates come from `taskq complete`.

_taskq() {
    local rest=${COMP_LINE:0:COMP_POINT} program=taskq blank='' word='' kept='' i
    local -a words=() places=() lines=()
    COMPREPLY=()

    # bash splits words at `=` and `:`. What no blank separates is one word.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        blank=${rest%%[![:space:]]*}
        rest=${rest#"$blank"}
        word=$rest
        ((i == COMP_CWORD)) || word=${COMP_WORDS[i]}
        rest=${rest#"$word"}
        if [[ $blank || $i -eq 0 ]]; then
            kept=''
            words+=("$word")
            places+=("$i")
        else
            kept=${words[${#words[@]} - 1]}
            words[${#words[@]} - 1]+=$word
        fi
    done
    # The shell replaces the text after the last `=` or `:`.
    [[ $word != [=:] ]] || kept+=$word
    # A file to redirect to.
    if ((COMP_CWORD > 0)) && [[ ${COMP_WORDS[COMP_CWORD - 1]} == *[\<\>] ]]; then
        compopt -o default
        return
    fi
    # A variable of this shell, as in `--dir "$DIR"`. Nothing else is expanded.
    for i in "${!words[@]}"; do
        if ((i < ${#words[@]} - 1)) &&
            [[ ${words[i]} =~ ^(--dir=)?\"?\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?\"?$ ]]; then
            printf -v 'words[i]' '%s%q' "${BASH_REMATCH[1]}" "${!BASH_REMATCH[2]}"
        fi
    done
    # The program that is typed with its path, else the one in PATH.
    case ${words[0]} in
        \~/*) program=$HOME/${words[0]#\~/} ;;
        */*) program=${words[0]} ;;
    esac

    mapfile -t lines < <("$program" complete bash -- "${words[@]}" 2>/dev/null)
    ((${#lines[@]} > 0)) || return
    local kind=${lines[0]%%$'\t'*} head=${lines[0]#*$'\t'} end=''
    case $kind in
        words)
            # A word that wants more gets no space after it, so the others bring theirs along.
            for word in "${lines[@]:1}"; do
                word=${word%%$'\t'*}
                [[ $word != *[=:.\<\>] ]] || end=' '
            done
            [[ -z $end ]] || compopt -o nospace
            for word in "${lines[@]:1}"; do
                word=$head${word%%$'\t'*}
                word=${word#"$kept"}
                [[ $word != *[\<\>]* ]] || printf -v word %q "$word"
                [[ $word == *[=:.\<\>] ]] || word+=$end
                COMPREPLY+=("$word")
            done
            ;;
        files) compopt -o default ;;
        directories) compopt -o dirnames ;;
        users) mapfile -t COMPREPLY < <(compgen -u -- "${words[${#words[@]} - 1]#"$head"}") ;;
        command)
            if declare -F _comp_command_offset >/dev/null; then
                _comp_command_offset "${places[head]}"
            elif declare -F _command_offset >/dev/null; then
                _command_offset "${places[head]}"
            elif ((head == ${#words[@]} - 1)); then
                mapfile -t COMPREPLY < <(compgen -c -- "${words[head]}")
                [[ ${words[head]} != */* ]] || compopt -o default
            else
                compopt -o default
            fi
            ;;
    esac
}

complete -o nosort -F _taskq taskq

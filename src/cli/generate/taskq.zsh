#compdef taskq
# Completions of taskq for zsh. Put this file, as `_taskq`, into a directory of $fpath.
#
# Made by `taskq completions zsh`. All candidates come from `taskq complete`.

_taskq() {
    local program=taskq word kind head value about MATCH
    local -a typed lines closed open match mbegin mend assigned
    local -i i MBEGIN MEND

    typed=("${(@Q)words[1,CURRENT-1]}")
    # A variable of this shell, as in `--dir "$DIR"`. Nothing else is expanded.
    for (( i = 2; i <= $#typed; i++ )); do
        if [[ $typed[i] =~ '^(--dir=)?[$]\{?([A-Za-z_][A-Za-z0-9_]*)\}?$' ]]; then
            typed[i]=$match[1]${(P)match[2]}
        elif [[ $words[i] == \~/* ]]; then
            typed[i]=$HOME/${typed[i]#\~/}
        fi
    done
    # As `TASKQ_DIR=DIR taskq` has it.
    assigned=("${(@M)${(z)LBUFFER}:#TASKQ_DIR=*}")
    [[ -z $assigned ]] || local -x TASKQ_DIR=${(Q)assigned[-1]#TASKQ_DIR=}
    # The program that is typed with its path, else the one in PATH.
    case $typed[1] in
        (\~/*) program=$HOME/${typed[1]#\~/} ;;
        (*/*) program=$typed[1] ;;
    esac

    lines=("${(@f)$(command $program complete zsh -- "${(@)typed}" "${(Q)PREFIX}" 2>/dev/null)}")
    [[ -n $lines[1] ]] || return 1
    kind=${lines[1]%%$'\t'*}
    head=${lines[1]#*$'\t'}
    if [[ $kind == command ]]; then
        shift $head words
        (( CURRENT -= head ))
        _normal
        return
    fi
    # The part of the word that stays.
    [[ -z $head ]] || compset -p ${#head}
    case $kind in
        (words)
            for word in "${(@)lines[2,-1]}"; do
                value=${word%%$'\t'*}
                about=${word#*$'\t'}
                word=${value//:/\\:}${about:+:$about}
                # A word that wants more gets no space after it.
                if [[ $value == *[=:.\<\>] ]]; then open+=("$word"); else closed+=("$word"); fi
            done
            _describe -V taskq closed -- open -S ''
            ;;
        (files) _files ;;
        (directories) _files -/ ;;
        (users) _users ;;
    esac
}

if [[ $funcstack[1] == _taskq ]]; then
    _taskq "$@"
else
    compdef _taskq taskq
fi

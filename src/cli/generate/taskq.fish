# Completions of taskq for fish. Put this file into ~/.config/fish/completions.
#
# Made by `taskq completions fish`. All candidates come from `taskq complete`.

function __taskq_complete
    set -l typed (commandline -opc)
    set -l current (commandline -ct)
    # A variable of this shell, as in `--dir "$DIR"`, and the home directory. Nothing else is expanded.
    for i in (seq (count $typed))
        if set -l name (string match -r '^(|--dir=)\$([A-Za-z_][A-Za-z0-9_]*)$' -- $typed[$i])
            set -l value $$name[3]
            set typed[$i] "$name[2]$value"
        else
            set typed[$i] (string replace -r '^~/' -- "$HOME/" $typed[$i])
        end
    end
    # The program that is typed with its path, else the one in PATH.
    set -l program taskq
    string match -q '*/*' -- $typed[1]; and set program $typed[1]

    set -l lines (command $program complete fish -- $typed "$current" 2>/dev/null)
    set -q lines[1]; or return
    set -l kind (string split -m 1 \t -- $lines[1])
    set -l head "$kind[2]"
    set -l rest (string sub -s (math (string length -- "$head") + 1) -- "$current")
    switch $kind[1]
        case words
            set -e lines[1]
            printf '%s\n' "$head"$lines
        case files
            printf '%s\n' "$head"(complete -C "'' $rest")
        case directories
            printf '%s\n' "$head"(__fish_complete_directories "$rest")
        case users
            printf '%s\n' "$head"(__fish_complete_users)
        case command
            set -e typed[1..$head]
            complete -C (string join ' ' -- (string escape -- $typed) "$current")
    end
end

complete -c taskq -f -k -a '(__taskq_complete)'

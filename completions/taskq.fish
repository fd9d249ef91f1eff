# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_taskq_global_optspecs
    string join \n dir= color= h/help V/version
end

function __fish_taskq_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_taskq_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_taskq_using_subcommand
    set -l cmd (__fish_taskq_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c taskq -n "__fish_taskq_needs_command" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_needs_command" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_needs_command" -s V -l version -d 'Print version'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "add" -d 'Add a job'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "list" -d 'List jobs'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "ls" -d 'List jobs'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "show" -d 'Show all of a job'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "why" -d 'Explain why a job or a run does not start'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "runs" -d 'List runs, the newest first'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "log" -d 'Print the output of a run'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "next" -d 'Show the coming fires'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "events" -d 'List events: what happened, and who did it'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "run" -d 'Run jobs now, in addition to their schedule'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "retry" -d 'Run finished jobs again'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "cancel" -d 'Cancel jobs or runs'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "signal" -d 'Send a signal to running runs'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "set" -d 'Change the options of a job'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "apply" -d 'Make jobs as a TOML file has them'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "emit" -d 'Send an event to the jobs that listen to it'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "rename" -d 'Give a job another name'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "remove" -d 'Remove jobs with their history'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "prune" -d 'Forget old runs'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "pause" -d 'Pause jobs or a queue'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "resume" -d 'Resume jobs or a queue'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "wait" -d 'Wait until jobs or runs have ended'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "stats" -d 'Show rates, times and the backlog in numbers'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "timeline" -d 'Show runs as blocks along a time axis'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "status" -d 'Show the daemon, the queues and the next fire'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "queue" -d 'List the queues, or set one up'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "resource" -d 'List what jobs can book, or set how much there is'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "crontab" -d 'Install, list, edit or remove the crontab'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "import" -d 'Import jobs from elsewhere'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "export" -d 'Print jobs as a crontab, systemd units, JSON or TOML'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "daemon" -d 'Run the daemon, in the foreground'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "service" -d 'Run the daemon as a service of systemd'
complete -c taskq -n "__fish_taskq_needs_command" -f -a "doctor" -d 'Check the store, the daemon and the machine'
complete -c taskq -n "__fish_taskq_using_subcommand add" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand add" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand add" -l at -d 'Run once, at TIME (can be repeated)' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l cron -d 'Run when the cron expression matches (can be repeated)' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l calendar -d 'Run when the calendar EXPR matches (can be repeated)' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l every -d 'Run every SPAN, counted from now (can be repeated)' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l on -d 'Run at an event (can be repeated)' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l start -d 'No fire before TIME; --every counts from it' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l until -d 'No fire at or after TIME; default: no end' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l nth -d 'Run at every N-th fire of the triggers only' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l jitter -d 'Fire up to SPAN later, always by the same delay' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l times -d 'Fire until N of its runs have begun; default: always' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l tz -d 'Read the triggers in ZONE, for example Europe/Berlin' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -s c -d 'Run SCRIPT by /bin/sh -c' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l cwd -d 'Start the job in DIR; default: the present directory' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand add" -l umask -d 'Set the file mode creation mask, as with umask(1)' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l nice -d 'Run it with niceness N; default: the daemon\'s' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l stdin -d 'Use FILE as its standard input; default: empty' -r -F
complete -c taskq -n "__fish_taskq_using_subcommand add" -l stdin-from -d 'Read the output of the run of JOB that it waits for' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l user -d 'Run it as the user NAME; only for root' -r -f -a "(__fish_complete_users)"
complete -c taskq -n "__fish_taskq_using_subcommand add" -l env -d 'Set NAME in its environment (can be repeated)' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l env-file -d 'Set the variables in FILE, read at each start' -r -F
complete -c taskq -n "__fish_taskq_using_subcommand add" -l name -d 'Give it a name, for use in place of its id' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l tag -d 'Tag it, to find it again (can be repeated)' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l queue -d 'Run it in QUEUE; default: the queue `default`' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l priority -d 'Priority in its queue, -100 to 100; default: 0' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l expect -d 'How long a run takes, until that is learnt' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l finish-by -d 'When a run should be finished, after its time' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -s R -l needs -d 'Book resources, as in gpu=1 (can be repeated)' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l if -d 'Start only if the gate is open (repeatable)' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l if-timeout -d 'A run that waits so long at a gate is missed' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l array -d 'Run once for each index, as one job' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l each -d 'Run once for each line of FILE; -: stdin' -r -F
complete -c taskq -n "__fish_taskq_using_subcommand add" -l after -d 'Run after a run of JOB (can be repeated)' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l timeout -d 'Stop a run after SPAN; default: never' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l kill-after -d 'KILL this long after TERM; default: 10s' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l start-by -d 'Miss a start later than SPAN; default: never' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l retries -d 'Try a failed run again N times; default: 0' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l retry-delay -d 'The pause before a retry; default: 10s..10m' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l retry-on -d 'Retry only after LIST; default: any failure' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l overlap -d 'A fire during an unfinished run; default: skip' -r -f -a "skip\t''
wait\t''
allow\t''
replace\t''"
complete -c taskq -n "__fish_taskq_using_subcommand add" -l missed -d 'Fires found late: once, all or skip[,SPAN]' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l grace -d 'On time if at most SPAN late; default: 60s' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l log-limit -d 'Keep so much of a run\'s output; default: 10M' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l mail -d 'Mail the output of a run, by sendmail(8)' -r -f
complete -c taskq -n "__fish_taskq_using_subcommand add" -l on-success -d 'Run SCRIPT after a run that succeeded' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l on-failure -d 'Run SCRIPT after a run that failed' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l on-finish -d 'Run SCRIPT after a run, however it ended' -r
complete -c taskq -n "__fish_taskq_using_subcommand add" -l from -d 'Add many jobs: a JSON object a line; -: stdin' -r -F
complete -c taskq -n "__fish_taskq_using_subcommand add" -l after-end -d '--every counts from the end of the last run'
complete -c taskq -n "__fish_taskq_using_subcommand add" -l all-of -d 'Run when each --on has fired since the last run'
complete -c taskq -n "__fish_taskq_using_subcommand add" -l clean-env -d 'Start with cron\'s bare environment'
complete -c taskq -n "__fish_taskq_using_subcommand add" -l enforce -d 'Limit its runs to the cpu and mem they book'
complete -c taskq -n "__fish_taskq_using_subcommand add" -l hold -d 'Add it paused; `taskq resume` starts it'
complete -c taskq -n "__fish_taskq_using_subcommand add" -l any -d 'Of several --after, one is enough'
complete -c taskq -n "__fish_taskq_using_subcommand add" -l split-output -d 'Keep standard output and standard error apart'
complete -c taskq -n "__fish_taskq_using_subcommand add" -l replace -d 'Take the place of the living job of its name'
complete -c taskq -n "__fish_taskq_using_subcommand add" -s q -l quiet -d 'Print no notes about possible slips'
complete -c taskq -n "__fish_taskq_using_subcommand add" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand add" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand list" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand list" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand list" -l state -d 'Only jobs in these states' -r -f -a "scheduled\t''
queued\t''
blocked\t''
running\t''
paused\t''
done\t''"
complete -c taskq -n "__fish_taskq_using_subcommand list" -l queue -d 'Only jobs of QUEUE' -r
complete -c taskq -n "__fish_taskq_using_subcommand list" -l tag -d 'Only jobs with TAG' -r
complete -c taskq -n "__fish_taskq_using_subcommand list" -l name -d 'Only jobs whose name matches GLOB' -r
complete -c taskq -n "__fish_taskq_using_subcommand list" -s n -d 'Only the newest N jobs; default: all' -r
complete -c taskq -n "__fish_taskq_using_subcommand list" -s a -l all -d 'Also jobs that are done'
complete -c taskq -n "__fish_taskq_using_subcommand list" -l running -d 'Only jobs with a running run, as --state running'
complete -c taskq -n "__fish_taskq_using_subcommand list" -l failed -d 'Only jobs whose last run failed, also done ones'
complete -c taskq -n "__fish_taskq_using_subcommand list" -l full -d 'Show whole times, and cut nothing'
complete -c taskq -n "__fish_taskq_using_subcommand list" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand ls" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand ls" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand ls" -l state -d 'Only jobs in these states' -r -f -a "scheduled\t''
queued\t''
blocked\t''
running\t''
paused\t''
done\t''"
complete -c taskq -n "__fish_taskq_using_subcommand ls" -l queue -d 'Only jobs of QUEUE' -r
complete -c taskq -n "__fish_taskq_using_subcommand ls" -l tag -d 'Only jobs with TAG' -r
complete -c taskq -n "__fish_taskq_using_subcommand ls" -l name -d 'Only jobs whose name matches GLOB' -r
complete -c taskq -n "__fish_taskq_using_subcommand ls" -s n -d 'Only the newest N jobs; default: all' -r
complete -c taskq -n "__fish_taskq_using_subcommand ls" -s a -l all -d 'Also jobs that are done'
complete -c taskq -n "__fish_taskq_using_subcommand ls" -l running -d 'Only jobs with a running run, as --state running'
complete -c taskq -n "__fish_taskq_using_subcommand ls" -l failed -d 'Only jobs whose last run failed, also done ones'
complete -c taskq -n "__fish_taskq_using_subcommand ls" -l full -d 'Show whole times, and cut nothing'
complete -c taskq -n "__fish_taskq_using_subcommand ls" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand ls" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand show" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand show" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand show" -l json -d 'Print JSON; of several jobs, a list'
complete -c taskq -n "__fish_taskq_using_subcommand show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand why" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand why" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand why" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand why" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand runs" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand runs" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand runs" -l outcome -d 'Only runs with these outcomes' -r -f -a "success\t''
failed\t''
timed_out\t''
cancelled\t''
missed\t''
skipped\t''
spawn_failed\t''
lost\t''"
complete -c taskq -n "__fish_taskq_using_subcommand runs" -l since -d 'Only runs since TIME, or of the last SPAN' -r
complete -c taskq -n "__fish_taskq_using_subcommand runs" -s n -d 'At most N runs; default: 20' -r
complete -c taskq -n "__fish_taskq_using_subcommand runs" -l failed -d 'Only runs that failed'
complete -c taskq -n "__fish_taskq_using_subcommand runs" -l full -d 'Show whole times, and cut nothing'
complete -c taskq -n "__fish_taskq_using_subcommand runs" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand runs" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand log" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand log" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand log" -s n -l tail -d 'Begin with the last N lines' -r
complete -c taskq -n "__fish_taskq_using_subcommand log" -l attempt -d 'Print the output of the N-th attempt of the run' -r
complete -c taskq -n "__fish_taskq_using_subcommand log" -s f -l follow -d 'Print new output until the run has ended'
complete -c taskq -n "__fish_taskq_using_subcommand log" -l stderr -d 'Print the standard error of a run with --split-output'
complete -c taskq -n "__fish_taskq_using_subcommand log" -l timestamps -d 'Begin each line with the time at which it was written'
complete -c taskq -n "__fish_taskq_using_subcommand log" -l all -d 'Print the output of every run of a job, the oldest first'
complete -c taskq -n "__fish_taskq_using_subcommand log" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand next" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand next" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand next" -l cron -d 'Preview a cron expression' -r
complete -c taskq -n "__fish_taskq_using_subcommand next" -l calendar -d 'Preview a calendar expression of systemd.time(7)' -r
complete -c taskq -n "__fish_taskq_using_subcommand next" -l at -d 'Preview a time' -r
complete -c taskq -n "__fish_taskq_using_subcommand next" -l every -d 'Preview an interval' -r
complete -c taskq -n "__fish_taskq_using_subcommand next" -l tz -d 'Read the trigger in ZONE; default: the system\'s zone' -r
complete -c taskq -n "__fish_taskq_using_subcommand next" -l from -d 'Begin after TIME; default: now' -r
complete -c taskq -n "__fish_taskq_using_subcommand next" -s n -d 'The next N fires; default: 10, without JOB one of each job' -r
complete -c taskq -n "__fish_taskq_using_subcommand next" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand next" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand events" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand events" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand events" -l since -d 'Only events since TIME, or of the last SPAN' -r
complete -c taskq -n "__fish_taskq_using_subcommand events" -s n -d 'Begin with the latest N events; default: 20' -r
complete -c taskq -n "__fish_taskq_using_subcommand events" -l cursor -d 'Begin after the event whose id is in FILE' -r -F
complete -c taskq -n "__fish_taskq_using_subcommand events" -s f -l follow -d 'Go on, and print events as they are recorded'
complete -c taskq -n "__fish_taskq_using_subcommand events" -l full -d 'Show whole times, and cut nothing'
complete -c taskq -n "__fish_taskq_using_subcommand events" -l json -d 'Print JSON; with --follow, a line for each event'
complete -c taskq -n "__fish_taskq_using_subcommand events" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand run" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand run" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand run" -l wait -d 'Wait until they have ended'
complete -c taskq -n "__fish_taskq_using_subcommand run" -l follow -d 'Print the output as it is written, until the run has ended'
complete -c taskq -n "__fish_taskq_using_subcommand run" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand retry" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand retry" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand retry" -l failed -d 'Only those that failed; without a JOB, of all jobs'
complete -c taskq -n "__fish_taskq_using_subcommand retry" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand retry" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand cancel" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand cancel" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand cancel" -l queue -d 'All jobs of QUEUE; with --tag, those that match both' -r
complete -c taskq -n "__fish_taskq_using_subcommand cancel" -l tag -d 'All jobs with TAG' -r
complete -c taskq -n "__fish_taskq_using_subcommand cancel" -l all -d 'All jobs'
complete -c taskq -n "__fish_taskq_using_subcommand cancel" -l now -d 'KILL at once, without TERM'
complete -c taskq -n "__fish_taskq_using_subcommand cancel" -l wait -d 'Return when the running runs have ended'
complete -c taskq -n "__fish_taskq_using_subcommand cancel" -l yes -d 'With --all: cancel recurring jobs without a question'
complete -c taskq -n "__fish_taskq_using_subcommand cancel" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand cancel" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand signal" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand signal" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand signal" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand signal" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand set" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand set" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand set" -l unset -d 'Return OPTION to its default (can be repeated)' -r -f -a "after\t''
all-of\t''
any\t''
array\t''
each\t''
enforce\t''
env-file\t''
expect\t''
finish-by\t''
grace\t''
if\t''
if-timeout\t''
jitter\t''
kill-after\t''
log-limit\t''
mail\t''
missed\t''
on-failure\t''
on-finish\t''
on-success\t''
needs\t''
nice\t''
nth\t''
overlap\t''
priority\t''
queue\t''
retries\t''
retry-delay\t''
retry-on\t''
split-output\t''
start-by\t''
stdin\t''
stdin-from\t''
tag\t''
timeout\t''
times\t''
until\t''"
complete -c taskq -n "__fish_taskq_using_subcommand set" -l at -d 'Run once, at TIME (can be repeated)' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l cron -d 'Run when the cron expression matches (can be repeated)' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l calendar -d 'Run when the calendar EXPR matches (can be repeated)' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l every -d 'Run every SPAN, counted from now (can be repeated)' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l on -d 'Run at an event (can be repeated)' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l start -d 'No fire before TIME; --every counts from it' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l until -d 'No fire at or after TIME; default: no end' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l nth -d 'Run at every N-th fire of the triggers only' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l jitter -d 'Fire up to SPAN later, always by the same delay' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l times -d 'Fire until N of its runs have begun; default: always' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l tz -d 'Read the triggers in ZONE, for example Europe/Berlin' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -s c -d 'Run SCRIPT by /bin/sh -c' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l cwd -d 'Start the job in DIR; default: the present directory' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand set" -l umask -d 'Set the file mode creation mask, as with umask(1)' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l nice -d 'Run it with niceness N; default: the daemon\'s' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l stdin -d 'Use FILE as its standard input; default: empty' -r -F
complete -c taskq -n "__fish_taskq_using_subcommand set" -l stdin-from -d 'Read the output of the run of JOB that it waits for' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l user -d 'Run it as the user NAME; only for root' -r -f -a "(__fish_complete_users)"
complete -c taskq -n "__fish_taskq_using_subcommand set" -l env -d 'Set NAME in its environment (can be repeated)' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l env-file -d 'Set the variables in FILE, read at each start' -r -F
complete -c taskq -n "__fish_taskq_using_subcommand set" -l tag -d 'Tag it, to find it again (can be repeated)' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l queue -d 'Run it in QUEUE; default: the queue `default`' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l priority -d 'Priority in its queue, -100 to 100; default: 0' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l expect -d 'How long a run takes, until that is learnt' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l finish-by -d 'When a run should be finished, after its time' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -s R -l needs -d 'Book resources, as in gpu=1 (can be repeated)' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l if -d 'Start only if the gate is open (repeatable)' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l if-timeout -d 'A run that waits so long at a gate is missed' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l array -d 'Run once for each index, as one job' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l each -d 'Run once for each line of FILE; -: stdin' -r -F
complete -c taskq -n "__fish_taskq_using_subcommand set" -l after -d 'Run after a run of JOB (can be repeated)' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l timeout -d 'Stop a run after SPAN; default: never' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l kill-after -d 'KILL this long after TERM; default: 10s' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l start-by -d 'Miss a start later than SPAN; default: never' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l retries -d 'Try a failed run again N times; default: 0' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l retry-delay -d 'The pause before a retry; default: 10s..10m' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l retry-on -d 'Retry only after LIST; default: any failure' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l overlap -d 'A fire during an unfinished run; default: skip' -r -f -a "skip\t''
wait\t''
allow\t''
replace\t''"
complete -c taskq -n "__fish_taskq_using_subcommand set" -l missed -d 'Fires found late: once, all or skip[,SPAN]' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l grace -d 'On time if at most SPAN late; default: 60s' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l log-limit -d 'Keep so much of a run\'s output; default: 10M' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l mail -d 'Mail the output of a run, by sendmail(8)' -r -f
complete -c taskq -n "__fish_taskq_using_subcommand set" -l on-success -d 'Run SCRIPT after a run that succeeded' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l on-failure -d 'Run SCRIPT after a run that failed' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l on-finish -d 'Run SCRIPT after a run, however it ended' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l name -d 'Give it a name, for use in place of its id' -r
complete -c taskq -n "__fish_taskq_using_subcommand set" -l first -d 'Put its waiting runs in front of their queue'
complete -c taskq -n "__fish_taskq_using_subcommand set" -l reset-counter -d 'Begin the counts of its event triggers anew'
complete -c taskq -n "__fish_taskq_using_subcommand set" -l after-end -d '--every counts from the end of the last run'
complete -c taskq -n "__fish_taskq_using_subcommand set" -l all-of -d 'Run when each --on has fired since the last run'
complete -c taskq -n "__fish_taskq_using_subcommand set" -l clean-env -d 'Start with cron\'s bare environment'
complete -c taskq -n "__fish_taskq_using_subcommand set" -l enforce -d 'Limit its runs to the cpu and mem they book'
complete -c taskq -n "__fish_taskq_using_subcommand set" -l any -d 'Of several --after, one is enough'
complete -c taskq -n "__fish_taskq_using_subcommand set" -l split-output -d 'Keep standard output and standard error apart'
complete -c taskq -n "__fish_taskq_using_subcommand set" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand set" -l hold -d 'Add it paused; `taskq resume` starts it'
complete -c taskq -n "__fish_taskq_using_subcommand set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand apply" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand apply" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand apply" -l dry-run -d 'Print the plan, and change nothing'
complete -c taskq -n "__fish_taskq_using_subcommand apply" -l prune -d 'End the jobs that are no longer in FILE'
complete -c taskq -n "__fish_taskq_using_subcommand apply" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand apply" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand emit" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand emit" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand emit" -l by -d 'Send N events at once; default: 1' -r
complete -c taskq -n "__fish_taskq_using_subcommand emit" -l data -d 'Read its data from standard input' -r -f -a "-\t''"
complete -c taskq -n "__fish_taskq_using_subcommand emit" -l quiet -d 'Exit with 0 also if no job listens to it'
complete -c taskq -n "__fish_taskq_using_subcommand emit" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand emit" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand rename" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand rename" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand rename" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand rename" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand remove" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand remove" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand remove" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand prune" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand prune" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand prune" -l older -d 'Forget runs that finished SPAN ago; default: 90d' -r
complete -c taskq -n "__fish_taskq_using_subcommand prune" -l keep -d 'Keep the latest N runs of each job; default: 1000' -r
complete -c taskq -n "__fish_taskq_using_subcommand prune" -l output-limit -d 'Prune the oldest outputs until SIZE is left' -r
complete -c taskq -n "__fish_taskq_using_subcommand prune" -l dry-run -d 'Print what would be forgotten, and forget nothing'
complete -c taskq -n "__fish_taskq_using_subcommand prune" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand prune" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand pause" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand pause" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand pause" -l queue -d 'The queue' -r
complete -c taskq -n "__fish_taskq_using_subcommand pause" -l all -d 'All jobs'
complete -c taskq -n "__fish_taskq_using_subcommand pause" -l runs -d 'Stop the processes of running runs too, by STOP'
complete -c taskq -n "__fish_taskq_using_subcommand pause" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand pause" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand resume" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand resume" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand resume" -l queue -d 'The queue' -r
complete -c taskq -n "__fish_taskq_using_subcommand resume" -l all -d 'All jobs'
complete -c taskq -n "__fish_taskq_using_subcommand resume" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand resume" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand wait" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand wait" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand wait" -l queue -d 'All jobs of QUEUE; with --tag, those that match both' -r
complete -c taskq -n "__fish_taskq_using_subcommand wait" -l tag -d 'All jobs with TAG' -r
complete -c taskq -n "__fish_taskq_using_subcommand wait" -l timeout -d 'Give up after SPAN, with exit status 124; default: never' -r
complete -c taskq -n "__fish_taskq_using_subcommand wait" -l all -d 'All jobs'
complete -c taskq -n "__fish_taskq_using_subcommand wait" -l any -d 'Only until the first of them has ended, and print its id'
complete -c taskq -n "__fish_taskq_using_subcommand wait" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand wait" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand stats" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand stats" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand stats" -l queue -d 'Only runs in QUEUE' -r
complete -c taskq -n "__fish_taskq_using_subcommand stats" -l since -d 'Runs since TIME, or of the last SPAN; default: 7 days' -r
complete -c taskq -n "__fish_taskq_using_subcommand stats" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand stats" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand timeline" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand timeline" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand timeline" -l since -d 'Begin at TIME, or SPAN ago; default: 24 hours ago' -r
complete -c taskq -n "__fish_taskq_using_subcommand timeline" -l until -d 'End at TIME; default: some time after now' -r
complete -c taskq -n "__fish_taskq_using_subcommand timeline" -l svg -d 'Write the picture to FILE as SVG; `-` prints it' -r -F
complete -c taskq -n "__fish_taskq_using_subcommand timeline" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand timeline" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand status" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand status" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand status" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand queue; and not __fish_seen_subcommand_from list set remove" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand queue; and not __fish_seen_subcommand_from list set remove" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand queue; and not __fish_seen_subcommand_from list set remove" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand queue; and not __fish_seen_subcommand_from list set remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand queue; and not __fish_seen_subcommand_from list set remove" -f -a "list" -d 'List the queues'
complete -c taskq -n "__fish_taskq_using_subcommand queue; and not __fish_seen_subcommand_from list set remove" -f -a "set" -d 'Make a queue, or change one'
complete -c taskq -n "__fish_taskq_using_subcommand queue; and not __fish_seen_subcommand_from list set remove" -f -a "remove" -d 'Remove a queue that no job needs'
complete -c taskq -n "__fish_taskq_using_subcommand queue; and __fish_seen_subcommand_from list" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand queue; and __fish_seen_subcommand_from list" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand queue; and __fish_seen_subcommand_from list" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand queue; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand queue; and __fish_seen_subcommand_from set" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand queue; and __fish_seen_subcommand_from set" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand queue; and __fish_seen_subcommand_from set" -l slots -d 'Run at most N of its jobs at once' -r
complete -c taskq -n "__fish_taskq_using_subcommand queue; and __fish_seen_subcommand_from set" -l order -d 'Start first: fifo (default), shortest or deadline' -r -f -a "fifo\t''
shortest\t''
deadline\t''"
complete -c taskq -n "__fish_taskq_using_subcommand queue; and __fish_seen_subcommand_from set" -l aging -d 'What a point of priority is worth; default: 1m' -r
complete -c taskq -n "__fish_taskq_using_subcommand queue; and __fish_seen_subcommand_from set" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand queue; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand queue; and __fish_seen_subcommand_from remove" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand queue; and __fish_seen_subcommand_from remove" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand queue; and __fish_seen_subcommand_from remove" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand queue; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand resource; and not __fish_seen_subcommand_from list set remove" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand resource; and not __fish_seen_subcommand_from list set remove" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand resource; and not __fish_seen_subcommand_from list set remove" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand resource; and not __fish_seen_subcommand_from list set remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand resource; and not __fish_seen_subcommand_from list set remove" -f -a "list" -d 'List the resources, with who has them'
complete -c taskq -n "__fish_taskq_using_subcommand resource; and not __fish_seen_subcommand_from list set remove" -f -a "set" -d 'Make resources, or change how much there is'
complete -c taskq -n "__fish_taskq_using_subcommand resource; and not __fish_seen_subcommand_from list set remove" -f -a "remove" -d 'Remove a resource that no job needs'
complete -c taskq -n "__fish_taskq_using_subcommand resource; and __fish_seen_subcommand_from list" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand resource; and __fish_seen_subcommand_from list" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand resource; and __fish_seen_subcommand_from list" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand resource; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand resource; and __fish_seen_subcommand_from set" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand resource; and __fish_seen_subcommand_from set" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand resource; and __fish_seen_subcommand_from set" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand resource; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand resource; and __fish_seen_subcommand_from remove" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand resource; and __fish_seen_subcommand_from remove" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand resource; and __fish_seen_subcommand_from remove" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand resource; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand crontab" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand crontab" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand crontab" -s u -d 'Only your own name is accepted: a store has one user' -r
complete -c taskq -n "__fish_taskq_using_subcommand crontab" -s l -d 'Print the table'
complete -c taskq -n "__fish_taskq_using_subcommand crontab" -s e -d 'Edit the table with $VISUAL or $EDITOR, and install it'
complete -c taskq -n "__fish_taskq_using_subcommand crontab" -s r -d 'Remove the table and end its jobs; asks on a terminal'
complete -c taskq -n "__fish_taskq_using_subcommand crontab" -s i -d 'Ask before removing, even without a terminal'
complete -c taskq -n "__fish_taskq_using_subcommand crontab" -s n -d 'Check the new table, and install nothing'
complete -c taskq -n "__fish_taskq_using_subcommand crontab" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand import; and not __fish_seen_subcommand_from crontab at anacrontab systemd" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand import; and not __fish_seen_subcommand_from crontab at anacrontab systemd" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand import; and not __fish_seen_subcommand_from crontab at anacrontab systemd" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand import; and not __fish_seen_subcommand_from crontab at anacrontab systemd" -f -a "crontab" -d 'Import a crontab, and report each of its lines'
complete -c taskq -n "__fish_taskq_using_subcommand import; and not __fish_seen_subcommand_from crontab at anacrontab systemd" -f -a "at" -d 'Import the jobs in the queue of at(1)'
complete -c taskq -n "__fish_taskq_using_subcommand import; and not __fish_seen_subcommand_from crontab at anacrontab systemd" -f -a "anacrontab" -d 'Import a table of anacron(8)'
complete -c taskq -n "__fish_taskq_using_subcommand import; and not __fish_seen_subcommand_from crontab at anacrontab systemd" -f -a "systemd" -d 'Import timers of systemd with their services'
complete -c taskq -n "__fish_taskq_using_subcommand import; and __fish_seen_subcommand_from crontab" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand import; and __fish_seen_subcommand_from crontab" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand import; and __fish_seen_subcommand_from crontab" -l from -d 'Which cron it was written for: debian or cronie' -r -f -a "debian\t''
cronie\t''"
complete -c taskq -n "__fish_taskq_using_subcommand import; and __fish_seen_subcommand_from crontab" -l remove -d 'Remove the stored table of TABLE, and end its jobs' -r -F
complete -c taskq -n "__fish_taskq_using_subcommand import; and __fish_seen_subcommand_from crontab" -l system -d 'A system table: the sixth field is a user'
complete -c taskq -n "__fish_taskq_using_subcommand import; and __fish_seen_subcommand_from crontab" -l dry-run -d 'Report, and store nothing'
complete -c taskq -n "__fish_taskq_using_subcommand import; and __fish_seen_subcommand_from crontab" -l keep-going -d 'Import the other lines if some are refused'
complete -c taskq -n "__fish_taskq_using_subcommand import; and __fish_seen_subcommand_from crontab" -l list -d 'List the tables that are stored, and store nothing'
complete -c taskq -n "__fish_taskq_using_subcommand import; and __fish_seen_subcommand_from crontab" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand import; and __fish_seen_subcommand_from crontab" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand import; and __fish_seen_subcommand_from at" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand import; and __fish_seen_subcommand_from at" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand import; and __fish_seen_subcommand_from at" -l dry-run -d 'Report, and store nothing'
complete -c taskq -n "__fish_taskq_using_subcommand import; and __fish_seen_subcommand_from at" -l keep-going -d 'Import the others if some are refused'
complete -c taskq -n "__fish_taskq_using_subcommand import; and __fish_seen_subcommand_from at" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand import; and __fish_seen_subcommand_from at" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand import; and __fish_seen_subcommand_from anacrontab" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand import; and __fish_seen_subcommand_from anacrontab" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand import; and __fish_seen_subcommand_from anacrontab" -l dry-run -d 'Report, and store nothing'
complete -c taskq -n "__fish_taskq_using_subcommand import; and __fish_seen_subcommand_from anacrontab" -l keep-going -d 'Import the others if some are refused'
complete -c taskq -n "__fish_taskq_using_subcommand import; and __fish_seen_subcommand_from anacrontab" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand import; and __fish_seen_subcommand_from anacrontab" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand import; and __fish_seen_subcommand_from systemd" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand import; and __fish_seen_subcommand_from systemd" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand import; and __fish_seen_subcommand_from systemd" -l dry-run -d 'Report, and store nothing'
complete -c taskq -n "__fish_taskq_using_subcommand import; and __fish_seen_subcommand_from systemd" -l keep-going -d 'Import the others if some are refused'
complete -c taskq -n "__fish_taskq_using_subcommand import; and __fish_seen_subcommand_from systemd" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand import; and __fish_seen_subcommand_from systemd" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand export" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand export" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand daemon" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand daemon" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand daemon" -l slots -d 'Give N slots to each queue without a number of its own' -r
complete -c taskq -n "__fish_taskq_using_subcommand daemon" -l until-idle -d 'Exit when nothing is queued, running or retrying'
complete -c taskq -n "__fish_taskq_using_subcommand daemon" -l log-runs -d 'Log a line for each run that ends'
complete -c taskq -n "__fish_taskq_using_subcommand daemon" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand service; and not __fish_seen_subcommand_from install uninstall print" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand service; and not __fish_seen_subcommand_from install uninstall print" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand service; and not __fish_seen_subcommand_from install uninstall print" -l system -d 'Use a service of the system, which root runs'
complete -c taskq -n "__fish_taskq_using_subcommand service; and not __fish_seen_subcommand_from install uninstall print" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand service; and not __fish_seen_subcommand_from install uninstall print" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand service; and not __fish_seen_subcommand_from install uninstall print" -f -a "install" -d 'Write, enable and start the service'
complete -c taskq -n "__fish_taskq_using_subcommand service; and not __fish_seen_subcommand_from install uninstall print" -f -a "uninstall" -d 'Stop, disable and remove the service'
complete -c taskq -n "__fish_taskq_using_subcommand service; and not __fish_seen_subcommand_from install uninstall print" -f -a "print" -d 'Print the unit, and install nothing'
complete -c taskq -n "__fish_taskq_using_subcommand service; and __fish_seen_subcommand_from install" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand service; and __fish_seen_subcommand_from install" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand service; and __fish_seen_subcommand_from install" -l system -d 'Use a service of the system, which root runs'
complete -c taskq -n "__fish_taskq_using_subcommand service; and __fish_seen_subcommand_from install" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand service; and __fish_seen_subcommand_from install" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand service; and __fish_seen_subcommand_from uninstall" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand service; and __fish_seen_subcommand_from uninstall" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand service; and __fish_seen_subcommand_from uninstall" -l system -d 'Use a service of the system, which root runs'
complete -c taskq -n "__fish_taskq_using_subcommand service; and __fish_seen_subcommand_from uninstall" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand service; and __fish_seen_subcommand_from uninstall" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand service; and __fish_seen_subcommand_from print" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand service; and __fish_seen_subcommand_from print" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand service; and __fish_seen_subcommand_from print" -l system -d 'Use a service of the system, which root runs'
complete -c taskq -n "__fish_taskq_using_subcommand service; and __fish_seen_subcommand_from print" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand service; and __fish_seen_subcommand_from print" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c taskq -n "__fish_taskq_using_subcommand doctor" -l dir -d 'Keep jobs, history and output in DIR' -r -f -a "(__fish_complete_directories)"
complete -c taskq -n "__fish_taskq_using_subcommand doctor" -l color -d 'Colour the output: auto, always, never' -r -f -a "auto\t'On a terminal, if the environment does not forbid it'
always\t'Also in a pipe'
never\t'Not even on a terminal'"
complete -c taskq -n "__fish_taskq_using_subcommand doctor" -l json -d 'Print JSON'
complete -c taskq -n "__fish_taskq_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'

# taskq-ssh SOCKET HOST [OPTION...]: a far shell that reads the request on standard input.
# Exits 75 if no connection was made, so that certainly nothing was delivered.
socket=$1 host=$2
shift 2
# The first value of an option counts.
set -- -T -o BatchMode=yes -o ControlPath="$socket" -o RemoteCommand=none -o ClearAllForwardings=yes "$@" \
    -o ConnectTimeout=10 -o ServerAliveInterval=10 -o ServerAliveCountMax=3 -- "$host"
timeout 5 ssh -O check "$@" </dev/null >/dev/null 2>&1
status=$?
# A master that does not answer would make every client wait.
[ "$status" -ne 124 ] || rm -f "$socket"
if [ "$status" -ne 0 ]; then
    # The master lives on: it gets none of the caller's descriptors, whose end the caller waits for.
    ssh -o ControlMaster=auto -o ControlPersist=60s "$@" : </dev/null >/dev/null 2>"$socket.$$"
    status=$?
    cat "$socket.$$" >&2
    rm -f "$socket.$$"
    [ "$status" -ne 255 ] || exit 75
fi
exec ssh -o ControlMaster=no "$@" 'exec sh -s'

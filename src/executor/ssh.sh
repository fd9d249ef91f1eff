# taskq-ssh run|close SOCKET HOST [OPTION...]: a far shell that reads the request on standard input.
# Exits 75 if no connection was made, so that certainly nothing was delivered.
verb=$1 socket=$2 host=$3
shift 3
check() {
    timeout 5 ssh -O check -o ControlPath="$socket" "$@" -- "$host" </dev/null >/dev/null 2>&1
    status=$?
    # A master that does not answer would make every client wait.
    [ "$status" -ne 124 ] || rm -f "$socket"
    return "$status"
}
if [ "$verb" = close ]; then
    timeout 5 ssh -O exit -o ControlPath="$socket" "$@" -- "$host" </dev/null >/dev/null 2>&1
    exit 0
fi
if ! check "$@"; then
    # The master lives on: it gets none of the caller's descriptors, whose end the caller waits for.
    ssh -T -o BatchMode=yes -o ControlPath="$socket" -o RemoteCommand=none -o ClearAllForwardings=yes \
        -o ControlMaster=auto -o ControlPersist=60s "$@" -o ConnectTimeout=10 \
        -o ServerAliveInterval=10 -o ServerAliveCountMax=3 -- "$host" : </dev/null >/dev/null 2>"$socket.$$"
    status=$?
    cat "$socket.$$" >&2
    rm -f "$socket.$$"
    [ "$status" -ne 255 ] || exit 75
fi
exec ssh -T -o BatchMode=yes -o ControlPath="$socket" -o RemoteCommand=none -o ClearAllForwardings=yes \
    -o ControlMaster=no "$@" -o ConnectTimeout=10 -o ServerAliveInterval=10 -o ServerAliveCountMax=3 \
    -- "$host" 'exec sh -s'

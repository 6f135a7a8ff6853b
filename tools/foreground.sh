#!/bin/sh
# Run a command as the terminal's foreground job: Ctrl-C reaches it and not the make that waits for
# it, so that a clean stop ends make with 0. Without a terminal: just run it.
if [ -t 0 ] && command -v bash >/dev/null; then
	exec bash -mc '"$0" "$@"' "$@"
fi
exec "$@"

#!/bin/sh
# Make sure that programs of the system are there: found, else installed with apt, else a loud end.
#
# Usage: tools/need.sh PROGRAM...      e.g. tools/need.sh mosquitto systemd-analyze
#        tools/need.sh --package NAME  install a Debian package unconditionally
#
# Nothing is started by it: a broker, database or cache that this script installs is for private use by
# the demo and the tests, so the system's service neither starts now nor at the next boot. One that was
# already there is left as it is.
set -eu
PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin
export PATH

say() { printf '%s\n' "$*" >&2; }

# Which Debian package brings a program.
package_of() {
    case $1 in
    mosquitto | make | git | gcc) echo "$1" ;;
    systemd-analyze) echo systemd ;;
    mariadbd | mariadb-install-db) echo mariadb-server ;;
    redis-server) echo redis-server ;;
    *) say "tools/need.sh: no package is known for '$1'" && exit 2 ;;
    esac
}

# The service that a package would start.
service_of() {
    case $1 in
    mosquitto) echo mosquitto ;;
    mariadb-server) echo mariadb ;;
    redis-server) echo redis-server ;;
    esac
}

# How to become root: nothing, sudo, or a clear end. Without a terminal sudo must not ask.
become_root() {
    if [ "$(id -u)" = 0 ]; then
        return
    elif ! command -v sudo >/dev/null; then
        return 1
    elif [ -t 0 ]; then
        echo sudo
    elif sudo -n true 2>/dev/null; then
        echo "sudo -n"
    else
        return 1
    fi
}

give_up() {
    say ""
    say "rfid3 needs the Debian package '$1', and it could not be installed: $2."
    say "The cure:  apt-get update && apt-get install --yes $1   (as root), then run make again."
    exit 1
}

# A service that a package starts on installation is refused while this stands, by name and nothing
# else; where the machine has a rule of its own, that one is kept.
policy=/usr/sbin/policy-rc.d
hold_service() {
    if [ -e "$policy" ]; then
        return
    fi
    trap release_service EXIT
    trap 'exit 130' INT TERM HUP
    # shellcheck disable=SC2016  # $1 belongs to the script that is written
    printf '%s\n' '#!/bin/sh' '# Left by an interrupted "make" of rfid3; may be removed.' \
        'case $1 in mosquitto* | mariadb* | mysql* | redis*) exit 101 ;; esac' 'exit 0' |
        $root tee "$policy" >/dev/null
    $root chmod 755 "$policy"
}
release_service() {
    $root rm -f "$policy"
}

install_package() {
    package=$1
    command -v apt-get >/dev/null || give_up "$package" "there is no apt-get on this machine"
    root=$(become_root) || give_up "$package" "you are not root, and sudo is missing or would ask"
    say "Installing $package with apt-get ..."
    log=$(mktemp)
    service=$(service_of "$package")
    if [ -n "$service" ]; then hold_service; fi
    if ! { $root env DEBIAN_FRONTEND=noninteractive apt-get update &&
        $root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
            "$package"; } </dev/null >"$log" 2>&1; then
        tail -n 15 "$log" >&2
        give_up "$package" "apt-get failed (its last words are above; all of them in $log)"
    fi
    rm -f "$log"
    if [ -n "$service" ] && [ -x "$(command -v systemctl)" ]; then
        $root systemctl disable "$service.service" >/dev/null 2>&1 || true
    fi
}

if [ "${1-}" = --package ]; then
    install_package "$2"
    exit
fi
for program in "$@"; do
    command -v "$program" >/dev/null && continue
    package=$(package_of "$program")
    install_package "$package"
    command -v "$program" >/dev/null ||
        give_up "$package" "it is installed, but there is still no '$program'"
done

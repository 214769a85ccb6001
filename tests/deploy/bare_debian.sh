#!/bin/sh
# Sourced by bare_root.sh and stopwatch.sh: make a bare Debian with what `make` itself needs and nothing else, in mounts
# that end with the script. Afterwards $root is its folder, `there COMMAND [argument ...]` runs a shell command in it
# as root, and $here is the repository.
#
# Needs root, mmdebstrap, and 3 GB in TMPDIR. Where packages come from is taken from this machine: its apt sources and
# its pip configuration, and the certificates that it trusts. KEEP=1 leaves the root behind.
here=$(cd "$(dirname "$0")/../.." && pwd)
[ "$(id -u)" = 0 ] || { echo "Please run as root: it mounts and changes its root." >&2; exit 1; }
command -v mmdebstrap >/dev/null || { echo "Please install it: apt-get install mmdebstrap" >&2; exit 1; }

if [ "${BARE_ROOT:-}" = "" ]; then  # once more, with mounts of our own, which end with us
    BARE_ROOT=$(mktemp -d "${TMPDIR:-/tmp}/bare-root.XXXXXX")
    export BARE_ROOT
    code=0
    unshare --mount --pid --fork --kill-child sh "$0" "$@" || code=$?
    [ -n "${KEEP:-}" ] && echo "Left: $BARE_ROOT" || rm -rf --one-file-system "$BARE_ROOT"
    exit "$code"
fi

root=$BARE_ROOT/root
say() { echo "== $*"; }

say "a bare root"
# shellcheck disable=SC2046  # each file is a word
mmdebstrap --quiet --variant=minbase --mode=root --include=python3,make,git,ca-certificates \
    "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$root" \
    $(find /etc/apt -maxdepth 2 -path '/etc/apt/sources.list*' '(' -name '*.list' -o -name '*.sources' ')' -size +0)

# What is trusted and where pip looks is this machine's; whatever a pip setting names here can be read there as well.
mkdir -p "$root/usr/local/share/ca-certificates"
cp -R /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/"
cp /etc/resolv.conf /etc/hosts "$root/etc/"
for place in "/etc/pip.conf=/etc" "$HOME/.config/pip/pip.conf=/root/.config/pip" "$HOME/.pip/pip.conf=/root/.pip"; do
    if [ -f "${place%=*}" ]; then
        mkdir -p "$root${place#*=}"
        cp "${place%=*}" "$root${place#*=}/"
    fi
done
named() {
    { cat /etc/pip.conf "$HOME/.config/pip/pip.conf" "$HOME/.pip/pip.conf" 2>/dev/null || true; env | grep '^PIP_' || true; } |
        grep -oE '(^|[ =]|file://)/[^ ]+' | grep -oE '/[^/ ].*' | sort -u
}
for place in $(named); do
    place=${place%/simple}  # an index leads to files beside it
    if [ -d "$place" ]; then
        mkdir -p "$root$place"
        mount --rbind "$place" "$root$place"
        mount -o remount,ro,bind "$root$place"
    fi
done
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/dev/shm"

there() {
    # shellcheck disable=SC2046
    env -i $(env | grep -iE '^(PIP_[A-Z_]+|https?_proxy|no_proxy)=[^ ]*$') PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
        HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" sh -euc "$@"
}
there 'update-ca-certificates >/dev/null 2>&1'

#!/bin/sh
# Build the image of deploy/Containerfile, and run it as a cluster would: read-only, without root.
#
# The published base is on a registry that may be out of reach; so the base is a Debian made here, with Debian's own Python.
# Everything else is the file as it stands. Needs root, buildah, mmdebstrap, and 4 GB in TMPDIR. Where packages come from is
# taken from this machine: its apt sources, its pip configuration, the certificates that it trusts. KEEP=1 leaves the image.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
[ "$(id -u)" = 0 ] || { echo "Please run as root: it mounts and changes its root." >&2; exit 1; }
for tool in buildah mmdebstrap; do
    command -v $tool >/dev/null || { echo "Please install it: apt-get install $tool" >&2; exit 1; }
done

if [ "${IMAGE_PLACE:-}" = "" ]; then  # once more, with mounts of our own, which end with us
    IMAGE_PLACE=$(mktemp -d "${TMPDIR:-/tmp}/image.XXXXXX")
    export IMAGE_PLACE
    code=0
    unshare --mount sh "$0" "$@" || code=$?
    [ -n "${KEEP:-}" ] && echo "Left: $IMAGE_PLACE" || rm -rf --one-file-system "$IMAGE_PLACE"
    exit "$code"
fi

say() { echo "== $*"; }
b() { buildah --root "$IMAGE_PLACE/storage" --runroot "$IMAGE_PLACE/run" --storage-driver vfs "$@"; }

say "a base: Debian with its own Python"
# shellcheck disable=SC2046  # each file is a word
mmdebstrap --quiet --variant=minbase --mode=root \
    --include=python3,python3-venv,python3-dev,python-is-python3,ca-certificates \
    "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$IMAGE_PLACE/base" \
    $(find /etc/apt -maxdepth 2 -path '/etc/apt/sources.list*' '(' -name '*.list' -o -name '*.sources' ')' -size +0)
mkdir -p "$IMAGE_PLACE/base/usr/local/share/ca-certificates"
cp -R /usr/local/share/ca-certificates/. "$IMAGE_PLACE/base/usr/local/share/ca-certificates/"
chroot "$IMAGE_PLACE/base" update-ca-certificates >/dev/null 2>&1
{
    echo "[global]"
    echo "cert = /etc/ssl/certs/ca-certificates.crt"
    index=$(pip config get global.index-url 2>/dev/null || printenv PIP_INDEX_URL || true)
    [ -z "$index" ] || echo "index-url = $index"
} >"$IMAGE_PLACE/base/etc/pip.conf"
tar -C "$IMAGE_PLACE/base" -cf "$IMAGE_PLACE/base.tar" .
rm -rf --one-file-system "$IMAGE_PLACE/base"
container=$(b from scratch)
b add --quiet "$container" "$IMAGE_PLACE/base.tar" / >/dev/null
b commit --quiet "$container" hvops-base >/dev/null
b rm "$container" >/dev/null
rm "$IMAGE_PLACE/base.tar"

say "the image, by deploy/Containerfile"
if ! b bud --quiet --isolation chroot --build-arg BASE=localhost/hvops-base -f "$here/deploy/Containerfile" -t hvops "$here" \
        >"$IMAGE_PLACE/log" 2>&1; then
    tail -40 "$IMAGE_PLACE/log" >&2
    exit 1
fi
container=$(b from hvops)
told=$(b inspect --type image --format '{{.OCIv1.Config.User}} {{.OCIv1.Config.Entrypoint}} {{.OCIv1.Config.Cmd}}' hvops)
[ "$told" = "10001 [/opt/hvops/bin/hvops] [run]" ] || { echo "It starts otherwise: $told" >&2; exit 1; }

root=$(b mount "$container")
etc=$IMAGE_PLACE/etc
install -d -o 10001 -g 10001 -m 700 "$etc"
# 127.0.0.1:9 is the discard port: no Slack answers there.
sed 's|^\[slack\]$|[slack]\nbase_url = "http://127.0.0.1:9/api/"|; s|^path = .*|path = "/var/lib/hvops/ledger.db"|; s|^key_file = .*|key_file = "/var/lib/hvops/ledger.key"|' \
    "$here/deploy/settings.toml" >"$etc/settings.toml"
cp "$here/deploy/inventory.toml" "$etc/"
chown 10001:10001 "$etc"/*
chmod 600 "$etc"/*
mkdir -p "$root/etc/hvops"
mount --bind "$root" "$root"
mount --bind "$etc" "$root/etc/hvops"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs -o uid=10001,gid=10001,mode=700 tmpfs "$root/var/lib/hvops"
mount -o remount,ro,bind "$root"
mount -o remount,ro,bind "$root/etc/hvops"

inside() {
    env -i HVOPS_SETTINGS=/etc/hvops/settings.toml PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
        chroot --userspec=10001:10001 "$root" "$@"
}
say "read-only, as user 10001"
inside /bin/true
! inside /bin/sh -c "touch /opt/hvops/x || touch /etc/hvops/x" 2>/dev/null || { echo "It can write." >&2; exit 1; }
inside /opt/hvops/bin/hvops --version
inside /opt/hvops/bin/python -c 'import kerberos, psycopg, pyodbc'
code=0
inside /opt/hvops/bin/hvops doctor >"$IMAGE_PLACE/doctor" 2>&1 || code=$?
cat "$IMAGE_PLACE/doctor"
# Nothing of the example's estate exists, so doctor finds failures; what matters is that it looks, and says so.
[ "$code" = 1 ] && grep -q FAIL "$IMAGE_PLACE/doctor" && ! grep -q Traceback "$IMAGE_PLACE/doctor" ||
    { echo "Doctor did not come to its end ($code)." >&2; exit 1; }
say "The image runs. Its published base was not pulled."

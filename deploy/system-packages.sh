#!/bin/sh
# Add the system packages that hvops needs and Debian or Ubuntu does not have yet.
#
#   system-packages.sh demo [python]    what the practice environment needs
#   system-packages.sh run  [python]    what the bot needs, Kerberos among it
#   system-packages.sh test [python]    the same, and what the tests need besides
#
# sudo is for `apt-get install` only; nothing else asks for it.
set -eu
purpose=${1:-run}
python=${2:-python3}

"$python" - <<'PYTHON' || { echo "hvops needs Python 3.11 or newer: apt-get install python3.11, or make PYTHON=/path/to/python3.11" >&2; exit 1; }
import sys
sys.exit(sys.version_info < (3, 11))
PYTHON

missing=""
need() {  # need PACKAGE "command that succeeds when it is there"
    sh -c "$2" >/dev/null 2>&1 || missing="$missing $1"
}
installed() { echo "dpkg-query -W -f '\${Status}' $1 | grep -q 'install ok installed'"; }

need libodbc2 "$(installed libodbc2)"                # pyodbc loads libodbc.so.2 (SCVMM's database)
need tdsodbc "$(installed tdsodbc)"                  # the FreeTDS driver for SQL Server
need python3-venv "'$python' -c 'import ensurepip, venv'"
if [ "$purpose" != demo ]; then
    need libkrb5-dev "$(installed libkrb5-dev)"      # Kerberos for WinRM (hvops[kerberos]) is compiled against it
    need gcc "command -v gcc || command -v cc"
    need python3-dev "'$python' -c 'import os, sysconfig, sys; sys.exit(not os.path.exists(sysconfig.get_path(\"include\") + \"/Python.h\"))'"
fi
if [ "$purpose" = test ]; then
    # tests/conftest.py has the same tools by name: a test that misses one fails, and says which package has it.
    need chromium "command -v chromium || command -v chromium-browser"   # the page's tests drive a real browser
    need krb5-kdc "test -x /usr/sbin/krb5kdc && test -x /usr/sbin/kdb5_util"   # a real MIT KDC on loopback, started by a test
    need krb5-admin-server "test -x /usr/sbin/kadmin.local"              # its accounts
    need postgresql "ls /usr/lib/postgresql/*/bin/initdb || command -v initdb"   # the other store: tests start a cluster of their own
    need pgbouncer "test -x /usr/sbin/pgbouncer || command -v pgbouncer"   # a pooler before it
    need systemd "command -v systemd-analyze"                            # judges the units of deploy/
    need curl "command -v curl"                                          # one of the foreign WinRM clients
    need git "command -v git"                                            # which files are tracked
fi
[ -n "$missing" ] || exit 0

echo "hvops needs these system packages:$missing"
command -v apt-get >/dev/null || { echo "There is no apt here: please install them in this system's own way." >&2; exit 1; }
as_root=""
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "Please run as root: apt-get install --no-install-recommends$missing" >&2; exit 1; }
    echo "(apt needs root: sudo may ask for your password)"
    as_root="sudo"
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# A KDC package starts nothing here: the test brings its own realm and its own ports.
if ! { $as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q &&
       $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing; } >"$log" 2>&1; then
    cat "$log" >&2
    echo "apt-get could not install:$missing" >&2
    exit 1
fi

#!/bin/sh
# Does deploy/system-packages.sh name everything? A bare Debian is made for the question, with what `make` itself needs
# and nothing else; the last commit is cloned into it, set up there, and tested.
#
#   bare_root.sh [pytest argument ...]    these tests; without any, one against a real KDC, one in a browser, and the
#                                         one that looks for every tool
#
# What it needs: bare_debian.sh.
set -eu
. "$(dirname "$0")/bare_debian.sh"

git clone --quiet --no-hardlinks "$here" "$root/hvops"

say "it lacks what the script has to bring:"
there 'for tool in gcc chromium krb5kdc kdb5_util kadmin.local curl; do command -v $tool && exit 1; done; echo yes'

say "make setup"
there 'cd /hvops && make setup'

say "system-packages.sh test, and once more with nothing left to do"
there 'cd /hvops && sh deploy/system-packages.sh test python3 && test -z "$(sh deploy/system-packages.sh test python3)"'

say "tests"
[ $# -gt 0 ] || set -- tests/deploy/test_system_packages.py \
    "tests/lab/page/test_demo.py::test_half_a_minute_for_a_newcomer" tests/bot/transport/test_kerberos.py
there 'cd /hvops && .venv/bin/pytest -q --no-skips -p no:cacheprovider "$@"' pytest "$@"
say "That is all it needs."

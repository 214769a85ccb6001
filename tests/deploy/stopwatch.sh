#!/bin/sh
# How long does a newcomer wait? On a bare Debian, from `git clone` to the page's answer, packages downloaded on the way:
# as root with uv, with pip alone, and as a user without root or sudo where the system packages are there; then until
# `make test` begins, with all that it compiles. Prints seconds; nothing is judged here.
#
# What it needs: bare_debian.sh.
set -eu
. "$(dirname "$0")/bare_debian.sh"

# The address is printed once the practice Slack is up; the clock stops when a browser would have the page.
# shellcheck disable=SC2016  # for the shell over there
until_the_page='
cd "$HOME" && rm -rf hvops && begun=$(date +%s.%N)
git clone --quiet --no-hardlinks /source hvops && cd hvops
setsid make demo >"$HOME/demo.log" 2>&1 & demo=$!
python3 - "$HOME/demo.log" "$begun" <<PYTHON
import re, sys, time, urllib.request
log, begun = sys.argv[1], float(sys.argv[2])
while time.time() - begun < 900:
    address = re.search(r"http://127[.]0[.]0[.]1:[0-9]+[^ \\n]*", open(log).read())
    if address and urllib.request.urlopen(address[0].rstrip(".")).status == 200:
        print(f"{time.time() - begun:.0f} s")
        break
    time.sleep(0.1)
else:
    print(open(log).read())
PYTHON
{ kill -TERM -"$demo" && wait "$demo" || true; } 2>/dev/null
'

git clone --quiet --bare --no-hardlinks "$here" "$root/source"
there 'git config --system --add safe.directory "*"; useradd --create-home --home-dir /newcomer user'

printf 'as root, uv, system packages included: '
there "$until_the_page"
printf 'as root, pip alone: '
there "export INSTALLER=pip; $until_the_page"
printf 'as a user without root: '
printf '%s' "$until_the_page" | there 'exec setpriv --reuid user --regid user --clear-groups env HOME=/newcomer sh -eu'
printf 'until make test begins, as root: '
# shellcheck disable=SC2016
there '
cd "$HOME" && rm -rf hvops && begun=$(date +%s)
git clone --quiet --no-hardlinks /source hvops && cd hvops
setsid make test >"$HOME/test.log" 2>&1 & tests=$!
until grep -q "bringing up nodes" "$HOME/test.log"; do kill -0 "$tests" || { cat "$HOME/test.log"; exit 1; }; sleep 0.5; done
echo "$(($(date +%s) - begun)) s"
{ kill -TERM -"$tests"; wait "$tests" || true; } 2>/dev/null
'

#!/bin/sh
# Install hvops and the practice environment into a virtual environment, each package by version and hash.
#
#   install.sh demo|test VENV PYTHON       requirements/demo.txt or test.txt; PYTHON makes VENV where there is none
#
# uv does it, which pip brings, within seconds. INSTALLER=pip does without it, from the same file.
set -eu
what=$1 venv=$2 python=$3
root=$(cd "$(dirname "$0")/.." && pwd)
lock=$root/requirements/$what.txt

pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }

of_pip() {  # of_pip NAME: what pip takes for a setting, from its environment or its files
    value=$(printenv "PIP_$(echo "$1" | tr 'a-z-' 'A-Z_')") || value=$(pip config get "global.$1" 2>/dev/null) ||
        value=$(pip config get "install.$1" 2>/dev/null) || value=""
    echo "$value"
}
hand_on() {  # hand_on VARIABLE VALUE: uv reads no pip configuration; what it was told itself counts more
    [ -z "$2" ] || [ -n "$(printenv "$1")" ] || export "$1=$2"
}

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
if [ "${INSTALLER:-uv}" = pip ]; then
    pip install --quiet --require-hashes -r "$lock"
    pip install --quiet --no-deps --no-build-isolation -e "$root" -e "$root/lab"
    exit
fi

if [ ! -x "$venv/bin/uv" ]; then
    only_uv=$(mktemp)
    trap 'rm -f "$only_uv"' EXIT
    awk '/^[a-z]/ { is_uv = /^uv==/ } is_uv' "$lock" >"$only_uv"
    pip install --quiet --require-hashes --no-deps -r "$only_uv"
fi
hand_on UV_DEFAULT_INDEX "$(of_pip index-url)"
hand_on UV_INDEX "$(of_pip extra-index-url)"
hand_on UV_FIND_LINKS "$(of_pip find-links)"
hand_on SSL_CERT_FILE "$(of_pip cert)"
# pip takes all indexes as equals; each file is checked by its hash, so it does not matter which of them has it.
hand_on UV_INDEX_STRATEGY unsafe-best-match
export UV_PYTHON_DOWNLOADS=never UV_NO_CONFIG=1 VIRTUAL_ENV="$venv"
"$venv/bin/uv" pip install --quiet --require-hashes -r "$lock"
"$venv/bin/uv" pip install --quiet --no-deps --no-build-isolation -e "$root" -e "$root/lab"

# What the scripts share. They source it.
# shellcheck shell=bash disable=SC2034 # the scripts use the variables
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools=$(go env GOPATH)/bin
modules=(. conformance examples otelkombo)
packages=(./... ./conformance/... ./examples/... ./otelkombo/...)
newest_go=go1.27.4
newest_otel=v1.47.0

# step TEXT begins a step, whose name is printed if the script fails in it.
current=start
step() {
	current=$1
	printf '\n== %s (%ss)\n' "$1" "$((SECONDS + ${KOMBO_CI_SECONDS:-0}))"
}

# version prints the version in kombo.go.
version() { sed -n 's/^const Version = "\(.*\)"$/\1/p' kombo.go; }

scratch=$(mktemp -d)
at_exit() { :; } # a script may have something to end
ended() {
	local code=$?
	at_exit
	rm -rf "$scratch"
	if [ "$code" -ne 0 ]; then printf '\nFAILED: %s: %s\n' "$0" "$current" >&2; fi
}
trap ended EXIT

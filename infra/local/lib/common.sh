# shellcheck shell=bash disable=SC2034  # variables shared with the parts sourced after it
# Where things are kept, messages, locks and prerequisites. Sourced by main.

# Downloads and certificates, shared by all instances and never deleted.
cache_dir=$(realpath -m "${HEADWATER_INFRA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/headwater-infra}")
# Data, logs and pid files: one folder per instance, one folder per server in it.
data_root=$(realpath -m "${HEADWATER_INFRA_DATA:-${XDG_STATE_HOME:-$HOME/.local/state}/headwater-infra}")
instance=${HEADWATER_INFRA_INSTANCE:-default}
instance_dir=$data_root/$instance
java=${JAVA_HOME:+$JAVA_HOME/bin/}java
keytool=${JAVA_HOME:+$JAVA_HOME/bin/}keytool
readonly cache_dir data_root instance instance_dir java keytool

server_dir() { printf '%s' "$instance_dir/$1"; }

say()  { printf 'infra/local: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# The name becomes a folder that `down --wipe` deletes, so it must not lead anywhere else.
[[ $instance =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] \
  || fail "HEADWATER_INFRA_INSTANCE is \"$instance\", expected letters, digits, dots, dashes and underscores"
[ -r /proc/self/stat ] || fail "needs Linux: processes are told apart by /proc"

# setting NAME DEFAULT: the value of HEADWATER_INFRA_NAME.
setting() {
  local name=HEADWATER_INFRA_$1
  printf '%s' "${!name:-$2}"
}

# hold FD FILE: an exclusive lock until the shell ends. A holder may delete the file (`down --wipe`), and then a waiter
# has locked a file that nobody else will ever see: look again.
hold() {
  local fd=$1 file=$2 tries=0
  until [ "$file" -ef "/proc/self/fd/$fd" ]; do
    mkdir -p "$(dirname "$file")"
    if { eval "exec $fd>>\"\$file\""; } 2>/dev/null; then flock "$fd"; else ((++tries < 20)) || fail "cannot open $file"; fi
  done
}

require_java_and_maven() {
  local version major missing=0
  if ! command -v "$java" >/dev/null; then
    say "java is missing, expected JDK 17 or newer (Debian: openjdk-17-jdk-headless)"
    missing=1
  else
    version=$("$java" -version 2>&1 | sed -n 's/.* version "\([^"]*\)".*/\1/p')
    major=${version#1.}
    major=${major%%[!0-9]*}
    if [ "${major:-0}" -lt 17 ]; then
      say "java is version ${version:-unknown}, expected JDK 17 or newer (Debian: openjdk-17-jdk-headless)"
      missing=1
    fi
  fi
  if ! command -v mvn >/dev/null; then
    say "mvn is missing, expected Apache Maven (Debian: maven)"
    missing=1
  fi
  [ $missing = 0 ] || exit 3
}

# For programs that are started from their source.
require_compiler() {
  "$java" --list-modules | grep -q '^jdk\.compiler@' || { say "java is a runtime only, expected a JDK (Debian: openjdk-17-jdk-headless)"; exit 3; }
}

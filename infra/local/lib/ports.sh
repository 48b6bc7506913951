# shellcheck shell=bash disable=SC2154  # variables shared with main, its other parts and the server files
# Port numbers, and requests without a client library. Sourced by main.

# The ports of the loaded server by name, filled by saved_ports and choose_ports.
declare -A port=()

# choose_ports: for every `name:SETTING:default` in server_ports, in this order: the number in HEADWATER_INFRA_<SETTING>, the
# number of the last start, the default. 0 means any free port; it is written down, so that a restart keeps it.
choose_ports() {
  local entry name wanted default
  hold 8 "$cache_dir/ports.lock"   # two servers that choose at the same moment must not choose the same
  saved_ports
  for entry in "${server_ports[@]}"; do
    IFS=: read -r name wanted default <<<"$entry"
    [ "${HEADWATER_INFRA_PORTS:-}" != free ] || default=0
    wanted=$(setting "$wanted" "")
    if [ "${wanted:-0}" = 0 ]; then wanted=${port[$name]:-${wanted:-$default}}; fi
    [[ $wanted =~ ^[0-9]{1,5}$ ]] || fail "$server: port \"$wanted\" is not a number"
    [ "$wanted" != 0 ] || wanted=$(free_port)
    ! listening "$wanted" || fail "$server: port $wanted ($name) is taken by another process"
    port[$name]=$wanted
  done
  for name in "${!port[@]}"; do printf '%s %s\n' "$name" "${port[$name]}"; done >"$dir/ports"
  exec 8>&-
}

saved_ports() {
  local name number
  port=()
  [ ! -f "$dir/ports" ] || while read -r name number; do port[$name]=$number; done <"$dir/ports"
}

# A number nobody listens on, below the kernel's own ephemeral range, and handed to no one else in the last ten minutes:
# a server needs some seconds before it listens.
free_port() {
  local given=$cache_dir/ports.given number now
  printf -v now '%(%s)T' -1
  touch "$given"
  awk -v now="$now" '$2 > now - 600' "$given" >"$given.new"
  mv "$given.new" "$given"
  while :; do
    number=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
    if ! grep -q "^$number " "$given" && ! listening "$number"; then break; fi
  done
  printf '%s %s\n' "$number" "$now" >>"$given"
  printf '%s' "$number"
}

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# exchange PORT REQUEST COUNT: sends the bytes (as for printf %b), prints the first COUNT bytes of the answer in hex.
exchange() {
  # shellcheck disable=SC2016  # the inner shell expands them
  timeout 2 bash -c '
    exec 3<>"/dev/tcp/127.0.0.1/$1" && printf "%b" "$2" >&3 && head -c "$3" <&3 | od -An -v -tx1 | tr -d " \n"
  ' _ "$@" 2>/dev/null
}

# http_ok PORT PATH: whether a GET answers 200.
http_ok() {
  [[ $(exchange "$1" "GET $2 HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n" 12) == 485454502f312e3[01]20323030 ]]   # HTTP/1.x 200
}

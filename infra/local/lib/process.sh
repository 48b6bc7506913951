# shellcheck shell=bash disable=SC2154  # variables shared with main, its other parts and the server files
# The life of one server process. Sourced by main; $server and $dir are set by load.
#
# A server file gives: server_ports (array), server_fetch (sets what it needs), server_prepare (writes configuration, sets the
# array server_command), server_ready (succeeds when a real request is answered), server_assignments (NAME VALUE pairs).

# start_server: starts it unless it runs, waits until it answers, writes $dir/env.
start_server() {
  local launched=0 worker='' begin=$SECONDS pid
  hold 9 "$dir.lock"
  mkdir -p "$dir"
  trap interrupted INT TERM
  if pid=$(running_pid "$dir"); then
    saved_ports
    if is_paused "$pid"; then say "$server is paused: resuming it"; kill -CONT "$pid"; fi
  else
    server_fetch
    choose_ports
    rm -rf "$dir/tmp" && mkdir -p "$dir/tmp"
    server_prepare
    launched=1
    launch "${server_command[@]}"
  fi
  await_ready
  server_assignments | while IFS=' ' read -r name value; do printf '%s=%s\n' "$name" "${value@Q}"; done >"$dir/env.new"
  mv "$dir/env.new" "$dir/env"
  if [ "$launched" = 1 ]; then say "$server is up after $((SECONDS - begin)) s, log: $dir/log"; else say "$server runs already"; fi
}

stop_server() {
  [ -e "$dir" ] || return 0
  hold 9 "$dir.lock"
  if running_pid "$dir" >/dev/null; then end_process TERM; say "$server is down"; fi
  rm -f "$dir/pid"
}

wipe_server() {
  [ -e "$dir" ] || [ -e "$dir.lock" ] || return 0
  hold 9 "$dir.lock"
  if running_pid "$dir" >/dev/null; then end_process KILL; fi   # its data goes anyway, so no orderly end
  rm -rf "$dir"
  rm -f "$dir.lock"
  say "$server is down and wiped"
}

kill_server() {
  must_run
  end_process KILL
  rm -f "$dir/pid"
  say "$server is killed"
}

pause_server()  { must_run; kill -STOP "$(running_pid "$dir")"; say "$server is paused"; }
resume_server() { must_run; kill -CONT "$(running_pid "$dir")"; say "$server goes on"; }

# One line: name, state, pid, memory, ports, log.
server_status() {
  local pid state=stopped memory=- ports='' entry
  saved_ports
  for entry in "${server_ports[@]}"; do ports+=" ${entry%%:*}=${port[${entry%%:*}]:--}"; done
  if pid=$(running_pid "$dir"); then
    memory="$(awk '/^VmRSS/ { printf "%d", $2 / 1024 }' "/proc/$pid/status") MiB"
    if is_paused "$pid"; then state=paused; elif server_ready; then state=ready; else state=starting; fi
  elif [ ! -e "$dir" ]; then
    state=absent
  fi
  printf '%-10s %-9s pid %-8s %-9s%s  log %s\n' "$server" "$state" "${pid:--}" "$memory" "$ports" "$dir/log"
  [ $state = ready ]
}

must_run() {
  [ -e "$dir" ] || fail "$server is not running"
  hold 9 "$dir.lock"
  running_pid "$dir" >/dev/null || fail "$server is not running"
}

# launch COMMAND...: in the background, in a session of its own. The child writes the pid file before it becomes the server:
# whoever dies in between, no server runs that nobody knows of.
launch() {
  rm -f "$dir/pid"
  (
    exec 8>&- 9>&- </dev/null >>"$dir/log" 2>&1
    cd "$dir" || exit
    pid=$BASHPID   # read here: inside $( ) it would be another process
    printf '%s %s\n' "$pid" "$(process_identity "$pid")" >"$dir/pid"
    exec setsid "$@"
  ) &
  local child=$!
  disown "$child"   # otherwise the shell reports its end
  until [ -s "$dir/pid" ]; do kill -0 "$child" 2>/dev/null || break; sleep 0.02; done
}

await_ready() {
  local limit
  limit=$(setting TIMEOUT 120)
  local end=$((SECONDS + limit))
  until server_ready; do
    if ! running_pid "$dir" >/dev/null; then
      rm -f "$dir/pid"
      fail_with_log "$server died while starting"
    elif [ $SECONDS -ge $end ]; then
      [ "$launched" = 0 ] || { end_process KILL; rm -f "$dir/pid"; }
      fail_with_log "$server did not answer within $limit s"
    fi
    sleep 0.1
  done
}

fail_with_log() {
  tail -n 20 "$dir/log" | cut -c 1-300 >&2 || true
  fail "$1, log: $dir/log"
}

# An interrupted start leaves nothing running that it started.
interrupted() {
  trap - INT TERM
  [ -z "$worker" ] || kill "$worker" 2>/dev/null || true
  if [ "$launched" = 1 ] && running_pid "$dir" >/dev/null; then end_process KILL; rm -f "$dir/pid"; fi
  say "$server: start was interrupted"
  exit 130
}

# end_process SIGNAL: sends it to the server, waits for the end; after HEADWATER_INFRA_STOP_TIMEOUT seconds SIGKILL.
end_process() {
  local pid patience end
  pid=$(running_pid "$dir") || return 0
  patience=$(setting STOP_TIMEOUT 30)
  end=$((SECONDS + patience))
  kill "-$1" "$pid" 2>/dev/null || true
  kill -CONT "$pid" 2>/dev/null || true   # a paused process sees SIGTERM only when it goes on
  while running_pid "$dir" >/dev/null; do
    if [ $SECONDS -ge $end ]; then
      say "$server ignored SIG$1 for $patience s: SIGKILL"
      kill -KILL "$pid" 2>/dev/null || true
      end=$((SECONDS + patience))
    fi
    sleep 0.05
  done
}

# running_pid DIR: prints the pid of the server in this folder, fails when it does not run. A pid file names pid, boot and start
# time, so that another process with the same number, later or after a reboot, is never taken for ours.
running_pid() {
  local pid identity
  { read -r pid identity <"$1/pid"; } 2>/dev/null || return 1
  [[ $pid =~ ^[0-9]+$ ]] && [ -n "$identity" ] && [ "$(process_identity "$pid")" = "$identity" ] || return 1
  printf '%s' "$pid"
}

# process_identity PID: boot id and start time in clock ticks; nothing for a process that is gone. A zombie is gone once it is the last
# of its threads: until then the others may still hold the ports.
process_identity() {
  local stat fields
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 0
  read -ra fields <<<"${stat##*) }"
  if [[ ${fields[0]} == [ZX] ]] && [ "${fields[17]}" -le 1 ]; then return 0; fi
  printf '%s/%s' "$(</proc/sys/kernel/random/boot_id)" "${fields[19]}"
}

is_paused() {
  local stat
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null && [[ ${stat##*) } == T* ]]
}

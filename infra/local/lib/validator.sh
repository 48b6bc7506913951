# shellcheck shell=bash disable=SC2154  # variables shared with main and its other parts
# The FHIR R4 validator: no server, but a program that is fetched in the same way. Sourced by main.

readonly hapi_version=8.2.0   # of all HAPI artifacts: their own dependencies fit only among the same release
readonly validator_dir=$infra_local/validator
readonly least_generated=10000
readonly snapshots_dir=$infra_local/../../processors/tests/it/snapshots

# validate ARGUMENT...: see infra/local/validate.
validate() {
  fetch_validator
  run_validator "$@"
}

# Everything the product's own tests render, after a look at whether the validator still refuses what it must.
validate_snapshots() {
  local work
  fetch_validator
  work=$(mktemp -d "${TMPDIR:-/tmp}/headwater-validator.XXXXXX") || fail "validator: no folder for temporary files"
  # shellcheck disable=SC2064  # the folder is known now
  trap "rm -rf ${work@Q}" EXIT
  refuses_what_is_bad "$work"
  resources_of_snapshots "$work"
  # From inside, so that a problem names the snapshot and its line, and nothing of the folder.
  (cd "$work/snapshots" && with_own_codes -- *.snap) >"$work/found" || true   # what it found says more than its exit code
  unknown_errors "$work/found" || fail "validator: resources of $(realpath "$snapshots_dir") are not valid FHIR R4, see above (snapshot:line, severity, element, reason)"
}

# Resources drawn at random, so that what the fixtures do not hold is read too. The program that draws them fails where something never came.
validate_generated() {
  local count=${1:-$least_generated} work sum draw
  [[ $count =~ ^[1-9][0-9]{0,8}$ ]] && [ "$count" -ge "$least_generated" ] || usage "validate-generated: N is \"$count\", expected a number from $least_generated on"
  command -v cargo >/dev/null || fail "validator: cargo is missing, expected Rust (https://rustup.rs)"
  fetch_validator
  work=$(mktemp -d "${TMPDIR:-/tmp}/headwater-validator.XXXXXX") || fail "validator: no folder for temporary files"
  # shellcheck disable=SC2064  # the folder is known now
  trap "rm -rf ${work@Q}" EXIT
  draw=(cargo run --quiet --ignore-rust-version -p headwater-processors --example generated-readings -- "$count" ${HEADWATER_SEED:+"$HEADWATER_SEED"})
  (cd "$infra_local/../.." && "${draw[@]}") >"$work/generated" || fail "validator: no resources to read, see above: ${draw[*]}"
  (cd "$work" && with_own_codes -- generated) >"$work/found" || true   # what it found says more than its exit code
  sum=$(tail -n 1 "$work/found")
  if [[ $sum != "$count resources, 0 errors, "* ]]; then
    head -n 100 "$work/found"
    fail "validator: expected $count generated resources without an error (generated:line, severity, element, reason), lines of: ${draw[*]}"
  fi
  printf '%s\n' "$sum"
}

# with_own_codes ARGUMENT...: our own codes and extensions are held to what is published of them.
with_own_codes() {
  local published=() file
  for file in "$infra_local"/../../docs/fhir/{codesystem,structuredefinition,valueset}-*.json; do published+=(--resource "$file"); done
  run_validator "${published[@]}" "$@"
}

# Prints the errors that known.tsv does not name, what known.tsv names in vain, and the sum; fails unless there is nothing but the sum.
unknown_errors() {
  awk -F '\t' '
    FILENAME == ARGV[1] { if ($0 !~ /^#/) { snapshot[FNR] = $1; reason[FNR] = $2 } next }
    NF != 4 { sum = $0; next }
    {
      for (i in snapshot) if (index($1, snapshot[i] ":") == 1 && index($4, reason[i])) { seen[i] = 1; known++; next }
      print; bad = 1
    }
    END {
      for (i in snapshot) if (!(i in seen)) { printf "known.tsv:%d: does not occur any more, expected the line to be deleted\n", i; bad = 1 }
      if (sum !~ /^[0-9]+ resources, /) { print "the validator did not come to its end"; exit 1 }
      printf "%s; %d of the errors known\n", sum, known
      exit bad
    }' "$validator_dir/known.tsv" "$1"
}

# A gate that lets everything through looks like one that finds nothing. Line N of bad.ndjson differs from a good resource in one thing,
# and must be refused for the reason in line N of bad.expected; good.ndjson must pass. Both with the code system beside them, and what is
# published (the arguments after the folder).
refuses_what_is_bad() {
  local work=$1 own=(--resource "$validator_dir/codesystem.json") wrong
  with_own_codes "${own[@]}" -- "$validator_dir/good.ndjson" >"$work/good" || { cat "$work/good" >&2; fail "validator: refuses a resource of good.ndjson"; }
  with_own_codes "${own[@]}" <"$validator_dir/bad.ndjson" >"$work/bad" && fail "validator: bad.ndjson passes"
  wrong=$(awk -F '\t' '
    FILENAME == ARGV[1] { if (NF == 4) found[$1] = found[$1] "\n" $3 ": " $4; next }
    FILENAME == ARGV[2] { total = FNR; next }
    { expected = FNR }
    index(found[FNR], $0) == 0 { printf "line %d of bad.ndjson: expected \"%s\", found:%s\n", FNR, $0, found[FNR] == "" ? " nothing" : found[FNR] }
    END { if (total != expected || total == 0) printf "bad.ndjson has %d lines, bad.expected %d\n", total, expected }
  ' "$work/bad" "$validator_dir/bad.ndjson" "$validator_dir/bad.expected")
  [ -z "$wrong" ] || { printf '%s\n' "$wrong" >&2; fail "validator: does not refuse what it must, see above"; }
}

# Every snapshot with the lines that are no resources emptied, so that line numbers stay.
resources_of_snapshots() {
  local work=$1 snapshot
  mkdir "$work/snapshots"
  for snapshot in "$snapshots_dir"/*.snap; do
    awk 'head < 2 { if ($0 == "---") head++; print ""; next }
         /^(refused|unknown): / { print ""; next }
         { print }' "$snapshot" >"$work/snapshots/${snapshot##*/}" || fail "validator: cannot read $snapshot"
  done
  grep -q '[^[:space:]]' -r "$work/snapshots" || fail "validator: no resource in $snapshots_dir, expected snapshots of the tests"
}

fetch_validator() {
  # shellcheck disable=SC2034  # the name that the download's messages begin with
  server=validator worker=''
  require_compiler
  trap '[ -z "$worker" ] || kill "$worker" 2>/dev/null; exit 130' INT TERM
  fetch_jars "hapi-validator-$hapi_version" ca.uhn.hapi.fhir:hapi-fhir-{validation,structures-r4,validation-resources-r4,caching-caffeine}:"$hapi_version" \
    org.slf4j:slf4j-nop:2.0.16
  trap - INT TERM
}

run_validator() {
  "$java" "-Xmx$(setting VALIDATOR_HEAP 1g)" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData -cp "$fetched/*" \
    "$validator_dir/Validate.java" "$@"
}

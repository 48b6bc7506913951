# shellcheck shell=bash disable=SC2034,SC2154  # variables shared with lib/
# Apicurio Registry, which speaks the Confluent Schema Registry API under /apis/ccompat/v7. Unlike Confluent's, its global compatibility level
# is NONE until one is set.

readonly registry_version=3.0.9   # the newest that runs on JDK 17
readonly registry_api=/apis/ccompat/v7

server_ports=(http:REGISTRY_PORT:8081)

server_fetch() { fetch_archive "apicurio-registry-$registry_version" "io.apicurio:apicurio-registry-app:$registry_version:tar.gz:all"; }

server_prepare() {
  local heap storage program
  heap=$(setting REGISTRY_HEAP 256m)
  program=("$fetched"/*-runner.jar)
  case $(setting REGISTRY_STORAGE file) in
    file)   storage=(-Dapicurio.storage.kind=sql -Dapicurio.storage.sql.kind=h2 "-Dapicurio.datasource.url=jdbc:h2:file:$dir/data/registry") ;;
    memory) storage=() ;;
    *)      fail "HEADWATER_INFRA_REGISTRY_STORAGE is \"$(setting REGISTRY_STORAGE)\", expected file or memory" ;;
  esac
  server_command=("$java" -Xms64m "-Xmx$heap" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData -XX:+ExitOnOutOfMemoryError
    "-Djava.io.tmpdir=$dir/tmp" -Dquarkus.http.host=127.0.0.1 "-Dquarkus.http.port=${port[http]}"
    -Dquarkus.log.console.level=WARN   # it logs every request at INFO
    "${storage[@]}" -jar "${program[0]}")
}

server_ready() { http_ok "${port[http]}" "$registry_api/subjects"; }

server_assignments() { printf 'SCHEMA_REGISTRY_URL %s\n' "http://127.0.0.1:${port[http]}$registry_api"; }

# shellcheck shell=bash disable=SC2034,SC2154  # variables shared with lib/
# HAPI FHIR's R4 server over an H2 file. Nothing on Maven Central starts as one, so the Java file beside puts it together.

readonly fhir_version=8.8.0   # of all HAPI artifacts: their own dependencies fit only among the same release

server_ports=(http:FHIR_PORT:8094)

server_fetch() {
  require_compiler
  fetch_jars "hapi-server-$fhir_version" ca.uhn.hapi.fhir:hapi-fhir-{jpaserver-base,structures-r4,validation-resources-r4}:"$fhir_version" \
    com.h2database:h2:2.3.232 org.eclipse.jetty.ee10:jetty-ee10-servlet:12.0.25 org.slf4j:slf4j-simple:2.0.17
}

server_prepare() {
  local heap validate
  heap=$(setting FHIR_HEAP 1g)
  validate=$(setting FHIR_VALIDATE 0)
  [[ $validate == [01] ]] || fail "HEADWATER_INFRA_FHIR_VALIDATE is \"$validate\", expected 0 or 1"
  # The token goes by the environment: a command line is for all to read.
  FHIR_BEARER=$(setting FHIR_BEARER '')
  export FHIR_BEARER
  server_command=("$java" -Xms256m "-Xmx$heap" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData -XX:+ExitOnOutOfMemoryError
    -Djava.awt.headless=true "-Djava.io.tmpdir=$dir/tmp"
    -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dorg.slf4j.simpleLogger.showDateTime=true
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS"
    -cp "$fetched/*" "$infra_local/servers/FhirServer.java" "${port[http]}" "$dir/data/fhir" "$validate")
}

# It listens only once the database is open; this is the one request that needs no token.
server_ready() { http_ok "${port[http]}" '/fhir/metadata?_summary=true'; }

server_assignments() { printf 'FHIR_SERVER_URL %s\n' "http://127.0.0.1:${port[http]}/fhir"; }

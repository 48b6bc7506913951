# shellcheck shell=bash disable=SC2034,SC2154  # variables shared with lib/
# Apache Cassandra, one node, in the place of ScyllaDB: same query language, protocol version 4 and drivers. What only ScyllaDB has
# (tablets, per-partition rate limits, shard-aware ports, workload priorities) cannot be tried on it.

readonly cassandra_version=5.0.9

server_ports=(cql:CASSANDRA_PORT:9042 storage:CASSANDRA_STORAGE_PORT:7000)

server_fetch() { fetch_jars "cassandra-$cassandra_version" "org.apache.cassandra:cassandra-all:$cassandra_version"; }

server_prepare() {
  local heap meter
  heap=$(setting CASSANDRA_HEAP 1g)
  meter=("$fetched"/jamm-*.jar)   # the object size meter Cassandra insists on
  cassandra_yaml >"$dir/cassandra.yaml"
  logback_xml >"$dir/logback.xml"
  opened_modules >"$dir/modules.flags"
  server_command=("$java" "@$dir/modules.flags" -Xms512m "-Xmx$heap" -Xss512k -XX:+UseG1GC -XX:-UsePerfData -XX:+ExitOnOutOfMemoryError
    "-javaagent:${meter[0]}" -Djdk.attach.allowAttachSelf=true -Djava.awt.headless=true "-Djava.io.tmpdir=$dir/tmp"
    -Dio.netty.tryReflectionSetAccessible=true
    "-Dcassandra.config=file://$dir/cassandra.yaml" "-Dlogback.configurationFile=file://$dir/logback.xml" "-Dcassandra.storagedir=$dir"
    -Dcassandra-foreground=yes
    # A single node has nobody to wait for at start and nobody to tell at the end.
    -Dcassandra.ring_delay_ms=1 -Dcassandra.skip_wait_for_gossip_to_settle=0 -Dcassandra.superuser_setup_delay_ms=0
    -Dcassandra.shutdown_announce_in_ms=0
    -cp "$fetched/*" org.apache.cassandra.service.CassandraDaemon)
}

# An OPTIONS frame of protocol version 4 is answered by SUPPORTED (opcode 6). The port opens last of all.
server_ready() { [[ $(exchange "${port[cql]}" '\x04\x00\x00\x00\x05\x00\x00\x00\x00' 5) == 8400000006 ]]; }

server_assignments() { printf 'CASSANDRA_NODE %s\n' "127.0.0.1:${port[cql]}"; }

cassandra_yaml() {
  cat <<YAML
cluster_name: headwater-local
listen_address: 127.0.0.1
rpc_address: 127.0.0.1
storage_port: ${port[storage]}
native_transport_port: ${port[cql]}
endpoint_snitch: SimpleSnitch
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters: [{seeds: "127.0.0.1:${port[storage]}"}]
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
num_tokens: 1
initial_token: 0
data_file_directories: ["$dir/data"]
commitlog_directory: "$dir/commitlog"
saved_caches_directory: "$dir/saved_caches"
hints_directory: "$dir/hints"
cdc_raw_directory: "$dir/cdc_raw"
$(commitlog_sync)
commitlog_segment_size: 16MiB
disk_optimization_strategy: ssd
auto_snapshot: false
YAML
}

# periodic, as Cassandra comes: what was acknowledged in the last moments before a SIGKILL may be gone. batch: on disk before it is acknowledged.
commitlog_sync() {
  local mode
  mode=$(setting CASSANDRA_COMMITLOG periodic)
  printf 'commitlog_sync: %s\n' "$mode"
  if [ "$mode" = periodic ]; then printf 'commitlog_sync_period: 10000ms\n'; fi
}

logback_xml() {
  cat <<XML
<configuration>
  <appender name="out" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{ISO8601} %-5level %logger{0}: %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="out"/></root>
</configuration>
XML
}

# What Cassandra reaches into on JDK 17.
opened_modules() {
  local exported=(
    java.base/{jdk.internal.misc,jdk.internal.ref,java.lang.ref,sun.nio.ch}
    java.management.rmi/com.sun.jmx.remote.internal.rmi java.rmi/sun.rmi.{registry,server} java.sql/java.sql jdk.unsupported/sun.misc)
  local opened=(
    java.base/java.{io,lang,lang.module,lang.reflect,net,nio,util,util.concurrent,util.concurrent.atomic}
    java.base/jdk.internal.{loader,math,module,ref,reflect,util.jar} java.base/sun.nio.ch
    java.rmi/sun.rmi.transport.tcp jdk.compiler/com.sun.tools.javac.file jdk.management/com.sun.management.internal)
  printf -- '--add-exports=%s=ALL-UNNAMED\n' "${exported[@]}"
  printf -- '--add-opens=%s=ALL-UNNAMED\n' "${opened[@]}"
}

# shellcheck shell=bash disable=SC2034,SC2154  # variables shared with lib/
# Apache Kafka: one KRaft node with a plain listener and, as Azure Event Hubs' Kafka endpoint has it, a SASL_SSL listener that takes a
# connection string as the password of the user $ConnectionString. Loaded for two servers: `kafka`, and `eventhubs`, a second
# node with the size and idle limits of Event Hubs.

# 4.4.0 names a dependency that is not published.
readonly kafka_version=4.3.1
readonly connection_string='Endpoint=sb://127.0.0.1/;SharedAccessKeyName=local;SharedAccessKey=aGVhZHdhdGVyLWxvY2FsLW9ubHk='
readonly tls_dir=$cache_dir/tls

case $server in
  kafka)     server_ports=(plain:KAFKA_PORT:9092 sasl:KAFKA_SASL_PORT:9093 controller:KAFKA_CONTROLLER_PORT:9094) ;;
  eventhubs) server_ports=(sasl:EVENTHUBS_PORT:9193 plain:EVENTHUBS_PLAIN_PORT:9192 controller:EVENTHUBS_CONTROLLER_PORT:9194) ;;
esac

server_fetch() {
  # The broker's jars bring no slf4j binding: without one it logs nothing.
  fetch_jars "kafka-$kafka_version" "org.apache.kafka:kafka_2.13:$kafka_version" org.slf4j:slf4j-simple:1.7.36
}

server_prepare() {
  local run=("$java" -Djava.awt.headless=true -XX:-UsePerfData "-Djava.io.tmpdir=$dir/tmp"
    -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dorg.slf4j.simpleLogger.showDateTime=true
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS" -cp "$fetched/*")
  local heap
  heap=$(setting "${server^^}_HEAP" 512m)
  make_certificates
  { broker_properties; [ "$server" != eventhubs ] || eventhubs_limits; } >"$dir/server.properties"
  if [ ! -f "$dir/data/meta.properties" ]; then
    rm -rf "$dir/data"
    "${run[@]}" -XX:TieredStopAtLevel=1 -XX:+UseSerialGC kafka.tools.StorageTool format \
      -t "$(printf 'headwater%7.7s' "$server" | base64 | tr '+/' '-_' | tr -d =)" -c "$dir/server.properties" >>"$dir/log" 2>&1 \
      || fail_with_log "$server: cannot format its data folder"
  fi
  server_command=("${run[@]}" -Xms256m "-Xmx$heap" -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:+ExitOnOutOfMemoryError
    kafka.Kafka "$dir/server.properties")
}

# ApiVersions says that the listener works; Metadata with a broker in it, that topics can be made.
server_ready() {
  [[ $(exchange "${port[plain]}" '\x00\x00\x00\x0a\x00\x12\x00\x00\x00\x00\x00\x07\xff\xff' 10) == ????????000000070000 ]] \
    && [[ $(exchange "${port[plain]}" '\x00\x00\x00\x0e\x00\x03\x00\x01\x00\x00\x00\x08\xff\xff\x00\x00\x00\x00' 12) == ????????0000000800000001 ]]
}

server_assignments() {
  [ "$server" = eventhubs ] || printf 'KAFKA_BOOTSTRAP %s\n' "127.0.0.1:${port[plain]}"
  printf 'EVENTHUBS_BOOTSTRAP %s\n' "127.0.0.1:${port[sasl]}"
  printf 'EVENTHUBS_CONNECTION_STRING %s\n' "$connection_string"
  printf 'EVENTHUBS_CA %s\n' "$tls_dir/ca.pem"
}

broker_properties() {
  local plain=127.0.0.1:${port[plain]} sasl=127.0.0.1:${port[sasl]} controller=127.0.0.1:${port[controller]}
  cat <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@$controller
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://$plain,SASL_SSL://$sasl,CONTROLLER://$controller
advertised.listeners=PLAINTEXT://$plain,SASL_SSL://$(setting "${server^^}_SASL_ADVERTISED" "$sasl")
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs=$dir/data

sasl.enabled.mechanisms=PLAIN
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_\$ConnectionString="$connection_string";
ssl.keystore.type=PKCS12
ssl.keystore.location=$tls_dir/server.p12
ssl.keystore.password=changeit

# Topics are declared, never made by a misspelt name.
auto.create.topics.enable=false
num.partitions=4

# One node cannot have replicas; few partitions of the internal topics make a first consumer group or transaction quick.
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4

# After a SIGKILL the controller refuses the new broker until the old one's session is over: 9 s by default.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500

# Groups: short sessions are allowed, and the new protocol's members hear of a rebalance at the next heartbeat, 5 s by default.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.min.session.timeout.ms=3000
group.consumer.min.heartbeat.interval.ms=500
group.consumer.heartbeat.interval.ms=500
PROPERTIES
}

# A request above the limit closes the connection, as Event Hubs does it, instead of the polite error of message.max.bytes alone.
eventhubs_limits() {
  cat <<PROPERTIES
message.max.bytes=1046528
socket.request.max.bytes=1046528
connections.max.idle.ms=240000
PROPERTIES
}

# A certificate authority and a server certificate signed by it, shared by all instances: a single self-signed certificate that is both
# is refused by some TLS libraries.
make_certificates() {
  hold 8 "$cache_dir/tls.lock"
  if [ ! -d "$tls_dir" ]; then
    rm -rf "$tls_dir.part"
    (umask 077 && mkdir -p "$tls_dir.part" && cd "$tls_dir.part" && issue_certificates) >"$dir/keytool.log" 2>&1 \
      || fail "$server: keytool failed, log: $dir/keytool.log"
    mv "$tls_dir.part" "$tls_dir"
  fi
  exec 8>&-
}

issue_certificates() {
  local store=(-storetype PKCS12 -storepass changeit -noprompt) key=(-genkeypair -keyalg EC -groupname secp256r1 -validity 3650)
  local server_extensions=(-ext 'san=dns:localhost,ip:127.0.0.1' -ext eku=serverAuth -ext ku:c=digitalSignature)
  "$keytool" "${store[@]}" -keystore ca.p12 "${key[@]}" -alias ca -dname 'CN=Headwater local CA' -ext bc:c -ext ku:c=keyCertSign \
    && "$keytool" "${store[@]}" -keystore ca.p12 -exportcert -rfc -alias ca -file ca.pem \
    && "$keytool" "${store[@]}" -keystore server.p12 "${key[@]}" -alias server -dname CN=localhost \
    && "$keytool" "${store[@]}" -keystore server.p12 -certreq -alias server -file server.csr \
    && "$keytool" "${store[@]}" -keystore ca.p12 -gencert -rfc -alias ca -validity 3650 "${server_extensions[@]}" \
         -infile server.csr -outfile server.pem \
    && "$keytool" "${store[@]}" -keystore server.p12 -importcert -alias ca -file ca.pem \
    && "$keytool" "${store[@]}" -keystore server.p12 -importcert -alias server -file server.pem
}

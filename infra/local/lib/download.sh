# shellcheck shell=bash disable=SC2154  # variables shared with main, its other parts and the server files
# Server files by their Maven coordinates, downloaded once. Sourced by main.

# Not a newer one: from 3.0 on the plugin wants the parent POM of an artifact it only copies, and the registry's does not resolve.
readonly dependency_plugin=org.apache.maven.plugins:maven-dependency-plugin:2.8

# fetch_jars NAME COORDINATE...: the jars of group:artifact:version with everything they need at run time; sets $fetched.
fetch_jars() {
  local name=$1 coordinate group artifact version dependencies=''
  shift
  for coordinate in "$@"; do
    IFS=: read -r group artifact version <<<"$coordinate"
    dependencies+="<dependency><groupId>$group</groupId><artifactId>$artifact</artifactId><version>$version</version></dependency>"
  done
  fetch_once "$name" "$*" collect_jars
}

collect_jars() {
  cat >"$1.pom.xml" <<XML
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>headwater.infra</groupId><artifactId>$name</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>$dependencies</dependencies>
</project>
XML
  maven -f "$1.pom.xml" "$dependency_plugin:copy-dependencies" -DincludeScope=runtime -DoutputDirectory="$1"
  rm -f "$1.pom.xml"
}

# fetch_archive NAME GROUP:ARTIFACT:VERSION:tar.gz:CLASSIFIER: one packed artifact, unpacked; sets $fetched.
fetch_archive() {
  local name=$1 coordinate=$2
  fetch_once "$name" "$coordinate" unpack_archive
}

# By tar: the plugin's own `unpack` notes in the current directory what it has unpacked, and then does nothing for another folder.
unpack_archive() {
  maven "$dependency_plugin:copy" -Dartifact="$coordinate" -DoutputDirectory="$1.packed"
  tar -xzf "$1.packed"/*.tar.gz -C "$1" || fail "$server: cannot unpack $coordinate"
  rm -rf "$1.packed"
}

# fetch_once NAME WHAT FUNCTION: fills a folder of the cache by FUNCTION FOLDER, whole or not at all; sets $fetched to it.
fetch_once() {
  local part
  fetched=$cache_dir/$1-$(cksum <<<"$2" | cut -d' ' -f1)
  part=$fetched.part
  [ ! -d "$fetched" ] || return 0
  hold 8 "$fetched.lock"
  if [ ! -d "$fetched" ]; then
    say "$server: downloading $2"
    rm -rf "$part"
    mkdir -p "$part"
    "$3" "$part"
    mv "$part" "$fetched"
    rm -f "$fetched.mvn.log"
  fi
  rm -f "$fetched.lock"
  exec 8>&-
}

# In the background, because a shell that waits for a foreground command notices an interrupt only afterwards.
maven() {
  mvn -q -B "$@" >"$fetched.mvn.log" 2>&1 &
  worker=$!
  wait "$worker" || {
    grep -m 1 -F '[ERROR]' "$fetched.mvn.log" >&2 || true
    fail "$server: download failed, log: $fetched.mvn.log"
  }
  worker=''
}

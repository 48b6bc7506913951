package headwater.sink;

import java.util.HashMap;
import java.util.Map;
import java.util.Set;

/** What the command line says. */
record Options(String bootstrap, String registry, String from, String group, String node, String keyspace) {
    private static final Set<String> KNOWN =
            Set.of("--bootstrap", "--registry", "--from", "--group", "--node", "--keyspace");

    static Options parse(String[] arguments) {
        Map<String, String> given = new HashMap<>();
        for (int at = 0; at < arguments.length; at += 2) {
            if (!KNOWN.contains(arguments[at]) || at + 1 == arguments.length) {
                throw new IllegalArgumentException("argument " + arguments[at] + ", expected one of " + KNOWN + " and its value");
            }
            given.put(arguments[at], arguments[at + 1]);
        }
        for (String name : KNOWN) {
            if (!given.containsKey(name)) {
                throw new IllegalArgumentException("no " + name + ", expected it with its value");
            }
        }
        return new Options(
                given.get("--bootstrap"),
                given.get("--registry"),
                given.get("--from"),
                given.get("--group"),
                given.get("--node"),
                given.get("--keyspace"));
    }
}

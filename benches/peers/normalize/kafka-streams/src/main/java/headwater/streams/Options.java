package headwater.streams;

import java.util.HashMap;
import java.util.Map;
import java.util.Set;

/** What the command line says. {@code exactlyOnce} is a commit interval in milliseconds, or null for at least once. */
record Options(String bootstrap, String registry, String from, String to, String group, Long exactlyOnce) {
    private static final Set<String> KNOWN =
            Set.of("--bootstrap", "--registry", "--from", "--to", "--group", "--exactly-once");

    static Options parse(String[] arguments) {
        Map<String, String> given = new HashMap<>();
        for (int at = 0; at < arguments.length; at += 2) {
            if (!KNOWN.contains(arguments[at]) || at + 1 == arguments.length) {
                throw new IllegalArgumentException("argument " + arguments[at] + ", expected one of " + KNOWN + " and its value");
            }
            given.put(arguments[at], arguments[at + 1]);
        }
        String interval = given.get("--exactly-once");
        return new Options(
                must(given, "--bootstrap"),
                must(given, "--registry"),
                must(given, "--from"),
                must(given, "--to"),
                must(given, "--group"),
                interval == null ? null : Long.valueOf(interval));
    }

    private static String must(Map<String, String> given, String name) {
        String value = given.get(name);
        if (value == null) {
            throw new IllegalArgumentException("no " + name + ", expected it with its value");
        }
        return value;
    }
}

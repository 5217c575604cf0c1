package sekisho;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Runs the shared vectors: java -cp CLASSES sekisho.RunVectors FILE [ALGORITHM]
 *
 * With an algorithm only its cases run, for a Java that has no other.
 */
public final class RunVectors {
    public static void main(String[] arguments) throws Exception {
        if (arguments.length != 1 && arguments.length != 2) {
            System.err.println("usage: java -cp CLASSES sekisho.RunVectors FILE [ALGORITHM]");
            System.exit(1);
        }
        Map<String, Object> vectors = object(StrictJson.parse(Files.readAllBytes(Paths.get(arguments[0]))));
        String algorithm = arguments.length == 2 ? arguments[1] : null;
        SekishoVerifier.Keys keys = keysOf(object(vectors.get("keys")), algorithm);
        int passed = 0;
        int failed = 0;
        for (Object each : (List<?>) vectors.get("cases")) {
            Map<String, Object> vector = new HashMap<>(object(vectors.get("context")));
            vector.putAll(object(each));
            if (algorithm != null && !algorithm.equals(vector.get("algorithm"))) {
                continue;
            }
            String outcome = outcomeOf(keys, vector);
            if (outcome.equals(vector.get("expect"))) {
                passed++;
            } else {
                failed++;
                System.out.println(
                        "FAILED " + vector.get("name") + ": expected " + vector.get("expect") + ", was " + outcome);
            }
        }
        System.out.println(passed + " passed, " + failed + " failed");
        System.exit(passed > 0 && failed == 0 ? 0 : 1);
    }

    private static SekishoVerifier.Keys keysOf(Map<String, Object> listed, String algorithm) throws Exception {
        SekishoVerifier.Keys keys = new SekishoVerifier.Keys();
        for (Object each : (List<?>) listed.get("hs256")) {
            keys.addSecret((String) object(each).get("kid"), hex((String) object(each).get("secret_hex")));
        }
        for (Object each : (List<?>) object(listed.get("jwks")).get("keys")) {
            try {
                keys.addJwk(object(each));
            } catch (IllegalArgumentException error) {
                if (algorithm == null || algorithm.equals(object(each).get("alg"))) {
                    // Its cases fail below: what was not verified has not passed.
                    System.out.println(error.getMessage());
                }
            }
        }
        return keys;
    }

    private static String outcomeOf(SekishoVerifier.Keys keys, Map<String, Object> vector) {
        Object known = vector.containsKey("seen") ? vector.get("seen") : Collections.emptyList();
        SekishoVerifier.Seen seen = (jti, exp) -> ((List<?>) known).contains(jti);
        SekishoVerifier verifier =
                new SekishoVerifier(keys, text(vector, "issuer"), text(vector, "audience"), 5, 300, seen);
        byte[] body = vector.containsKey("body") ? text(vector, "body").getBytes(StandardCharsets.UTF_8) : null;
        try {
            verifier.verify((Long) vector.get("now"), text(vector, "method"), text(vector, "target"),
                    text(vector, "login_id"), text(vector, "token"), body);
            return "ok";
        } catch (SekishoVerifier.Refused refusal) {
            return refusal.word;
        } catch (RuntimeException error) { // a verifier that breaks has not refused
            return error.toString();
        }
    }

    private static String text(Map<String, Object> vector, String name) {
        return (String) vector.get(name);
    }

    @SuppressWarnings("unchecked") // StrictJson makes every name of an object a String
    private static Map<String, Object> object(Object value) {
        return (Map<String, Object>) value;
    }

    private static byte[] hex(String digits) {
        byte[] octets = new byte[digits.length() / 2];
        for (int index = 0; index < octets.length; index++) {
            octets[index] = (byte) Integer.parseInt(digits.substring(2 * index, 2 * index + 2), 16);
        }
        return octets;
    }
}

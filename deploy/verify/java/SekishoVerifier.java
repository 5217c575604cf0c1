package sekisho;

import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.PublicKey;
import java.security.Signature;
import java.security.SignatureException;
import java.security.interfaces.ECPublicKey;
import java.security.spec.X509EncodedKeySpec;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * Verifies the assertion that Sekisho sends beside the login ID.
 *
 * <pre>
 * SekishoVerifier.Keys keys = new SekishoVerifier.Keys().addSecret("2026-11", Files.readAllBytes(keyFile));
 * SekishoVerifier verifier = new SekishoVerifier(keys, "sekisho", "core-banking");
 * Map&lt;String, Object&gt; claims = verifier.verify(now, method, target, loginId, token, body); // or throws Refused
 * </pre>
 *
 * Java 8 or newer for HS256 and ES256, 15 or newer for EdDSA; no library. One verifier serves all threads. The
 * verifiers for Java, Node, PHP and Python make the same checks in the same order and refuse with the same words.
 */
public final class SekishoVerifier {
    /** The request must not be served. The word says why; it is for the log, not for the client. */
    public static final class Refused extends Exception {
        private static final long serialVersionUID = 1;
        public final String word;

        Refused(String word) {
            super(word);
            this.word = word;
        }
    }

    /** The defence against replay: records the jti, and says whether it had been recorded before. */
    public interface Seen {
        boolean seen(String jti, long exp);
    }

    private interface Check {
        boolean isSigned(byte[] signed, byte[] signature) throws GeneralSecurityException;
    }

    private static final int MAX_TOKEN_BYTES = 8192;
    private static final int MIN_SECRET_BYTES = 32;

    private final Keys keys;
    private final String issuer;
    private final String audience;
    private final long clockSkew;
    private final long maxLifetime;
    private final Seen seen;

    public SekishoVerifier(Keys keys, String issuer, String audience) {
        this(keys, issuer, audience, 5, 300, null);
    }

    public SekishoVerifier(Keys keys, String issuer, String audience, long clockSkew, long maxLifetime, Seen seen) {
        this.keys = keys;
        this.issuer = issuer;
        this.audience = audience;
        this.clockSkew = clockSkew;
        this.maxLifetime = maxLifetime;
        this.seen = seen;
    }

    /**
     * Returns the claims, or throws Refused. Now is in seconds, the target is the path and query as they came on the
     * wire, login ID and token are the two headers (null where one is missing), the body is null where it was not read.
     */
    public Map<String, Object> verify(
            long now, String method, String target, String loginId, String token, byte[] body) throws Refused {
        Map<String, Object> claims = readClaims(signedPayload(token));
        long iat = (Long) claims.get("iat");
        long exp = (Long) claims.get("exp");
        demand(claims.get("iss").equals(issuer), "wrong_issuer");
        demand(claims.get("aud").equals(audience), "wrong_audience");
        demand(iat <= now + clockSkew, "not_yet_valid");
        demand(exp > now - clockSkew, "expired");
        demand(exp - iat <= maxLifetime, "too_long_lived");
        demand(claims.get("htm").equals(method), "wrong_method");
        demand(claims.get("htu").equals(target), "wrong_target");
        demand(claims.get("sub").equals(loginId), "wrong_subject");
        if (claims.containsKey("bd")) {
            demand(body != null && Arrays.equals(decode((String) claims.get("bd")), sha256(body)), "wrong_body");
        }
        // Last, so that a request refused for another reason cannot use up the jti of a good one.
        if (seen != null) {
            demand(!seen.seen((String) claims.get("jti"), exp), "replayed");
        }
        return claims;
    }

    /** The bytes of the claims, once the signature over them holds. They are not read before that. */
    private byte[] signedPayload(String token) throws Refused {
        demand(token != null && token.length() <= MAX_TOKEN_BYTES, "malformed");
        String[] parts = token.split("\\.", -1);
        demand(parts.length == 3, "malformed");
        byte[] headerBytes = decode(parts[0]);
        byte[] payload = decode(parts[1]);
        byte[] signature = decode(parts[2]);
        Map<String, Object> header = readObject(headerBytes);
        demand(header.keySet().equals(new HashSet<>(Arrays.asList("alg", "typ", "kid"))), "malformed");
        for (Object value : header.values()) {
            demand(value instanceof String, "malformed");
        }
        Key key = keys.byId.get(header.get("kid"));
        demand(key != null, "unknown_key");
        demand(header.get("alg").equals(key.algorithm), "wrong_algorithm");
        byte[] signed = (parts[0] + "." + parts[1]).getBytes(StandardCharsets.US_ASCII);
        demand(isSigned(key, signed, signature), "bad_signature");
        demand(header.get("typ").equals("sekisho+jwt"), "wrong_type");
        return payload;
    }

    private static boolean isSigned(Key key, byte[] signed, byte[] signature) {
        try {
            return key.check.isSigned(signed, signature);
        } catch (SignatureException error) { // how Java says that the bytes cannot be a signature at all
            return false;
        } catch (GeneralSecurityException error) {
            throw new IllegalStateException(error);
        }
    }

    /** Claims that are all there and of the right type. Unknown ones are left alone: the gateway may grow. */
    private static Map<String, Object> readClaims(byte[] payload) throws Refused {
        Map<String, Object> claims = readObject(payload);
        for (String name : Arrays.asList("iss", "aud", "sub", "jti", "htm", "htu", "listener")) {
            demand(isText(claims.get(name)), "malformed");
        }
        for (String name : Arrays.asList("iat", "exp")) {
            demand(claims.get(name) instanceof Long, "malformed");
        }
        for (String name : Arrays.asList("contract", "role")) {
            demand(!claims.containsKey(name) || isText(claims.get(name)), "malformed");
        }
        Object cnf = claims.get("cnf");
        demand(cnf instanceof Map && isDigest(((Map<?, ?>) cnf).get("x5t#S256")), "malformed");
        Object amr = claims.get("amr");
        demand(amr instanceof List && !((List<?>) amr).isEmpty(), "malformed");
        for (Object value : (List<?>) amr) {
            demand(isText(value), "malformed");
        }
        demand(!claims.containsKey("bd") || isDigest(claims.get("bd")), "malformed");
        return claims;
    }

    @SuppressWarnings("unchecked") // StrictJson makes every name of an object a String
    private static Map<String, Object> readObject(byte[] octets) throws Refused {
        try {
            Object value = StrictJson.parse(octets);
            demand(value instanceof Map, "malformed");
            return (Map<String, Object>) value;
        } catch (StrictJson.Malformed error) {
            throw new Refused("malformed");
        }
    }

    private static boolean isText(Object value) {
        return value instanceof String && !((String) value).isEmpty();
    }

    private static boolean isDigest(Object value) throws Refused {
        return isText(value) && decode((String) value).length == 32;
    }

    /** Base64url of at least one byte. Encoding again is what refuses padding, foreign letters and stray last bits. */
    private static byte[] decode(String part) throws Refused {
        byte[] octets;
        try {
            octets = Base64.getUrlDecoder().decode(part);
        } catch (IllegalArgumentException error) {
            throw new Refused("malformed");
        }
        demand(octets.length > 0, "malformed");
        demand(Base64.getUrlEncoder().withoutPadding().encodeToString(octets).equals(part), "malformed");
        return octets;
    }

    private static byte[] sha256(byte[] octets) {
        try {
            return MessageDigest.getInstance("SHA-256").digest(octets);
        } catch (GeneralSecurityException error) {
            throw new IllegalStateException(error); // every Java has SHA-256
        }
    }

    private static void demand(boolean holds, String word) throws Refused {
        if (!holds) {
            throw new Refused(word);
        }
    }

    private static final class Key {
        final String algorithm;
        final Check check;

        Key(String algorithm, Check check) {
            this.algorithm = algorithm;
            this.check = check;
        }
    }

    /**
     * The gateway's keys by their ID. A key has one algorithm for ever: what the token says never chooses it. Add all
     * of them before the verifier is used.
     */
    public static final class Keys {
        /** What stands before a key in DER: "an EC public key, on P-256, 65 bytes, not compressed". */
        private static final String P256_PREFIX = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE";
        /** "An Ed25519 public key, 32 bytes". */
        private static final String ED25519_PREFIX = "MCowBQYDK2VwAyEA";

        private final Map<String, Key> byId = new HashMap<>();

        /** Adds an HS256 key: the bytes of the key file as they are, at least 32, nothing trimmed. */
        public Keys addSecret(String kid, byte[] secret) {
            if (secret.length < MIN_SECRET_BYTES) {
                throw new IllegalArgumentException("an HS256 key needs at least 32 bytes");
            }
            SecretKeySpec key = new SecretKeySpec(secret, "HmacSHA256");
            return add(kid, "HS256", (signed, signature) -> {
                Mac mac = Mac.getInstance("HmacSHA256");
                mac.init(key);
                return MessageDigest.isEqual(mac.doFinal(signed), signature); // the same time wherever they differ
            });
        }

        /** Adds every key of a JWKS, its JSON as bytes. One that is not understood is an error, never skipped. */
        public Keys addJwks(byte[] json) {
            try {
                for (Object jwk : (List<?>) readObject(json).get("keys")) {
                    addJwk((Map<?, ?>) jwk);
                }
                return this;
            } catch (Refused error) {
                throw new IllegalArgumentException("not a JWKS", error);
            }
        }

        void addJwk(Map<?, ?> jwk) throws Refused {
            String use = jwk.containsKey("use") ? String.valueOf(jwk.get("use")) : "sig";
            String kind = jwk.get("kty") + " " + jwk.get("crv") + " " + jwk.get("alg") + " " + use;
            String kid = (String) jwk.get("kid");
            try {
                if (kind.equals("EC P-256 ES256 sig")) {
                    byte[] point = join(coordinate(jwk, "x"), coordinate(jwk, "y"));
                    add(kid, "ES256", es256((ECPublicKey) publicKey("EC", P256_PREFIX, point)));
                } else if (kind.equals("OKP Ed25519 EdDSA sig")) {
                    add(kid, "EdDSA", eddsa(publicKey("Ed25519", ED25519_PREFIX, coordinate(jwk, "x"))));
                } else {
                    throw new IllegalArgumentException("unsupported algorithm: key " + kid + " is " + kind);
                }
            } catch (GeneralSecurityException error) {
                throw new IllegalArgumentException("unsupported algorithm: this Java has no key of " + kind, error);
            }
        }

        private Keys add(String kid, String algorithm, Check check) {
            if (kid == null || byId.containsKey(kid)) {
                throw new IllegalArgumentException("no key ID, or two keys with the ID " + kid);
            }
            byId.put(kid, new Key(algorithm, check));
            return this;
        }

        private static byte[] coordinate(Map<?, ?> jwk, String name) throws Refused {
            Object value = jwk.get(name);
            demand(isDigest(value), "malformed"); // 32 bytes, as a digest is
            return decode((String) value);
        }

        private static PublicKey publicKey(String algorithm, String prefix, byte[] key)
                throws GeneralSecurityException {
            byte[] der = join(Base64.getDecoder().decode(prefix), key);
            return KeyFactory.getInstance(algorithm).generatePublic(new X509EncodedKeySpec(der));
        }

        private static Check es256(ECPublicKey key) {
            BigInteger order = key.getParams().getOrder();
            return (signed, signature) -> {
                if (signature.length != 64) {
                    return false;
                }
                BigInteger r = new BigInteger(1, Arrays.copyOfRange(signature, 0, 32));
                BigInteger s = new BigInteger(1, Arrays.copyOfRange(signature, 32, 64));
                // Java 15 to 18 took zeros for anybody's signature until they were patched (CVE-2022-21449).
                if (r.signum() == 0 || s.signum() == 0 || r.compareTo(order) >= 0 || s.compareTo(order) >= 0) {
                    return false;
                }
                // Java 8 knows DER only; a DER signature in the token itself would be a second spelling.
                byte[] numbers = join(derNumber(r), derNumber(s));
                return verify("SHA256withECDSA", key, signed, join(new byte[] {0x30, (byte) numbers.length}, numbers));
            };
        }

        private static byte[] derNumber(BigInteger number) {
            byte[] shortest = number.toByteArray();
            return join(new byte[] {0x02, (byte) shortest.length}, shortest);
        }

        private static Check eddsa(PublicKey key) {
            return (signed, signature) -> signature.length == 64 && verify("Ed25519", key, signed, signature);
        }

        private static boolean verify(String algorithm, PublicKey key, byte[] signed, byte[] signature)
                throws GeneralSecurityException {
            Signature verifier = Signature.getInstance(algorithm);
            verifier.initVerify(key);
            verifier.update(signed);
            return verifier.verify(signature);
        }

        private static byte[] join(byte[] first, byte[] second) {
            byte[] joined = Arrays.copyOf(first, first.length + second.length);
            System.arraycopy(second, 0, joined, first.length, second.length);
            return joined;
        }
    }
}

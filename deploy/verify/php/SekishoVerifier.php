<?php

declare(strict_types=1);

/*
 * Verifies the assertion that Sekisho sends beside the login ID.
 *
 *   $keys = new Sekisho\Keys();
 *   $keys->addSecret('2026-11', file_get_contents('assertion.key'));
 *   $verifier = new Sekisho\Verifier($keys, 'sekisho', 'core-banking');
 *   $claims = $verifier->verify($now, $method, $target, $loginId, $token, $body);   // or throws Sekisho\Refused
 *
 * PHP 7.4 or newer, no library. ES256 needs the extension openssl, EdDSA the extension sodium. The verifiers for Java,
 * Node, PHP and Python make the same checks in the same order and refuse with the same words.
 */

namespace Sekisho;

/** The request must not be served. The message is the word that says why; it is for the log, not for the client. */
final class Refused extends \Exception
{
}

/** The gateway's keys by their ID. A key has one algorithm for ever: what the token says never chooses it. */
final class Keys
{
    private const MIN_SECRET_BYTES = 32;

    /** What stands before the point of a P-256 key in DER: "an EC public key, on P-256, 65 bytes, not compressed". */
    private const P256_PREFIX = '3059301306072a8648ce3d020106082a8648ce3d03010703420004';

    private array $keys = [];

    /** Adds an HS256 key: the bytes of the key file as they are, at least 32, nothing trimmed. */
    public function addSecret(string $kid, string $secret): void
    {
        if (strlen($secret) < self::MIN_SECRET_BYTES) {
            throw new \InvalidArgumentException('an HS256 key needs at least 32 bytes');
        }
        $this->add($kid, 'HS256', static function (string $signed, string $signature) use ($secret): bool {
            return hash_equals(hash_hmac('sha256', $signed, $secret, true), $signature);
        });
    }

    /** Adds every key of a JWKS, already read into arrays. One that is not understood is an error, never skipped. */
    public function addJwks(array $jwks): void
    {
        foreach ($jwks['keys'] as $jwk) {
            $kind = implode(' ', [$jwk['kty'] ?? '', $jwk['crv'] ?? '', $jwk['alg'] ?? '', $jwk['use'] ?? 'sig']);
            if ($kind === 'EC P-256 ES256 sig' && extension_loaded('openssl')) {
                $this->add($jwk['kid'], 'ES256', self::es256(decode($jwk['x']), decode($jwk['y'])));
            } elseif ($kind === 'OKP Ed25519 EdDSA sig' && extension_loaded('sodium')) {
                $this->add($jwk['kid'], 'EdDSA', self::eddsa(decode($jwk['x'])));
            } else {
                throw new \RuntimeException("unsupported algorithm: this PHP cannot verify with a key of $kind");
            }
        }
    }

    /** The algorithm and the check of the signature, or null. */
    public function find(string $kid): ?array
    {
        return $this->keys[$kid] ?? null;
    }

    private function add(string $kid, string $algorithm, callable $isSigned): void
    {
        if (isset($this->keys[$kid])) {
            throw new \InvalidArgumentException("two keys with the ID $kid");
        }
        $this->keys[$kid] = [$algorithm, $isSigned];
    }

    private static function es256(string $x, string $y): callable
    {
        $der = hex2bin(self::P256_PREFIX) . $x . $y;
        $lines = chunk_split(base64_encode($der), 64, "\n");
        $key = openssl_pkey_get_public("-----BEGIN PUBLIC KEY-----\n$lines-----END PUBLIC KEY-----\n");
        if ($key === false) {
            throw new \InvalidArgumentException('an ES256 key that is no point of P-256');
        }
        return static function (string $signed, string $signature) use ($key): bool {
            if (strlen($signature) !== 64) {
                return false;
            }
            // OpenSSL wants the two numbers as DER; a DER signature in the token itself would be a second spelling.
            $numbers = self::derNumber(substr($signature, 0, 32)) . self::derNumber(substr($signature, 32));
            $der = "\x30" . chr(strlen($numbers)) . $numbers;
            return openssl_verify($signed, $der, $key, OPENSSL_ALGO_SHA256) === 1;
        };
    }

    private static function derNumber(string $bytes): string
    {
        $bytes = ltrim($bytes, "\0");
        if ($bytes === '' || ord($bytes[0]) >= 0x80) {
            $bytes = "\0" . $bytes;
        }
        return "\x02" . chr(strlen($bytes)) . $bytes;
    }

    private static function eddsa(string $key): callable
    {
        if (strlen($key) !== SODIUM_CRYPTO_SIGN_PUBLICKEYBYTES) {
            throw new \InvalidArgumentException('an EdDSA key that is not 32 bytes');
        }
        return static function (string $signed, string $signature) use ($key): bool {
            return strlen($signature) === SODIUM_CRYPTO_SIGN_BYTES
                && sodium_crypto_sign_verify_detached($signature, $signed, $key);
        };
    }
}

final class Verifier
{
    private const MAX_TOKEN_BYTES = 8192;

    private Keys $keys;
    private string $issuer;
    private string $audience;
    private int $clockSkew;
    private int $maxLifetime;
    /** @var callable|null */
    private $seen;

    /** $seen(string $jti, int $exp), where given, records the jti and says whether it had been recorded before. */
    public function __construct(
        Keys $keys,
        string $issuer,
        string $audience,
        int $clockSkew = 5,
        int $maxLifetime = 300,
        ?callable $seen = null
    ) {
        $this->keys = $keys;
        $this->issuer = $issuer;
        $this->audience = $audience;
        $this->clockSkew = $clockSkew;
        $this->maxLifetime = $maxLifetime;
        $this->seen = $seen;
    }

    /**
     * Returns the claims, or throws Refused.
     *
     * $now is in seconds, $target the path and query as they came on the wire, $loginId and $token the two headers
     * (null where one is missing), $body the bytes of the body.
     */
    public function verify(
        int $now,
        string $method,
        string $target,
        ?string $loginId,
        ?string $token,
        ?string $body = null
    ): \stdClass {
        $claims = readClaims($this->signedPayload($token));
        demand($claims->iss === $this->issuer, 'wrong_issuer');
        demand($claims->aud === $this->audience, 'wrong_audience');
        demand($claims->iat <= $now + $this->clockSkew, 'not_yet_valid');
        demand($claims->exp > $now - $this->clockSkew, 'expired');
        demand($claims->exp - $claims->iat <= $this->maxLifetime, 'too_long_lived');
        demand($claims->htm === $method, 'wrong_method');
        demand($claims->htu === $target, 'wrong_target');
        demand($claims->sub === $loginId, 'wrong_subject');
        if (isset($claims->bd)) {
            demand($body !== null && decode($claims->bd) === hash('sha256', $body, true), 'wrong_body');
        }
        // Last, so that a request refused for another reason cannot use up the jti of a good one.
        if ($this->seen !== null) {
            demand(($this->seen)($claims->jti, $claims->exp) === false, 'replayed');
        }
        return $claims;
    }

    /** The bytes of the claims, once the signature over them holds. They are not read before that. */
    private function signedPayload(?string $token): string
    {
        demand($token !== null && strlen($token) <= self::MAX_TOKEN_BYTES, 'malformed');
        $parts = explode('.', $token);
        demand(count($parts) === 3, 'malformed');
        [$headerBytes, $payload, $signature] = array_map('Sekisho\decode', $parts);
        $header = get_object_vars(readObject($headerBytes));
        ksort($header);
        demand(array_keys($header) === ['alg', 'kid', 'typ'], 'malformed');
        demand(array_filter($header, 'is_string') === $header, 'malformed');
        $key = $this->keys->find($header['kid']);
        demand($key !== null, 'unknown_key');
        [$algorithm, $isSigned] = $key;
        demand($header['alg'] === $algorithm, 'wrong_algorithm');
        demand($isSigned("$parts[0].$parts[1]", $signature), 'bad_signature');
        demand($header['typ'] === 'sekisho+jwt', 'wrong_type');
        return $payload;
    }
}

/** Claims that are all there and of the right type. Unknown ones are left alone: the gateway may grow. */
function readClaims(string $payload): \stdClass
{
    $claims = readObject($payload);
    foreach (['iss', 'aud', 'sub', 'jti', 'htm', 'htu', 'listener'] as $name) {
        demand(isText($claims->$name ?? null), 'malformed');
    }
    foreach (['iat', 'exp'] as $name) {
        demand(is_int($claims->$name ?? null), 'malformed');
    }
    foreach (['contract', 'role'] as $name) {
        demand(!property_exists($claims, $name) || isText($claims->$name), 'malformed');
    }
    demand(isset($claims->cnf) && is_object($claims->cnf) && isDigest($claims->cnf->{'x5t#S256'} ?? null), 'malformed');
    $amr = $claims->amr ?? null;
    demand(is_array($amr) && $amr !== [] && array_filter($amr, 'Sekisho\isText') === $amr, 'malformed');
    demand(!property_exists($claims, 'bd') || isDigest($claims->bd), 'malformed');
    return $claims;
}

/** A JSON object with exactly one meaning: no name twice, whole numbers only, UTF-8 only, no NUL. */
function readObject(string $text): \stdClass
{
    $value = json_decode($text, false, 512);
    demand($value instanceof \stdClass, 'malformed');
    refuseSecondMeanings($text);
    return $value;
}

/**
 * json_decode keeps the last of two members with one name, and rounds numbers. So the text, known to be JSON by now, is
 * read once more: strings (with the colon that makes one a name), brackets and numbers are all that matter.
 */
function refuseSecondMeanings(string $text): void
{
    $maxNesting = 8;
    $wholeNumber = '/\A(0|[1-9][0-9]{0,14})\z/'; // every JSON reader can hold such a number exactly
    $token = '/("(?:[^"\\\\]++|\\\\.)*+")(\s*:)?|[{}[\]]|-?[0-9][-+.0-9eE]*/';
    demand(preg_match_all($token, $text, $tokens, PREG_SET_ORDER) !== false, 'malformed');
    $open = [];
    foreach ($tokens as $found) {
        if ($found[0][0] === '"') {
            $meant = json_decode($found[1]);
            demand(strpos($meant, "\0") === false, 'malformed');
            if (isset($found[2])) {
                $name = "name $meant"; // a bare "1" would become the number 1 as a key
                $innermost = count($open) - 1;
                demand(!isset($open[$innermost][$name]), 'malformed');
                $open[$innermost][$name] = true;
            }
        } elseif ($found[0] === '{' || $found[0] === '[') {
            $open[] = [];
            demand(count($open) <= $maxNesting, 'malformed');
        } elseif ($found[0] === '}' || $found[0] === ']') {
            array_pop($open);
        } else {
            demand(preg_match($wholeNumber, $found[0]) === 1, 'malformed');
        }
    }
}

/** Base64url of at least one byte. Encoding again is what refuses padding, foreign letters and stray last bits. */
function decode(string $part): string
{
    $octets = base64_decode(strtr($part, '-_', '+/'), true);
    demand(is_string($octets) && $octets !== '', 'malformed');
    demand(rtrim(strtr(base64_encode($octets), '+/', '-_'), '=') === $part, 'malformed');
    return $octets;
}

/** @param mixed $value */
function isText($value): bool
{
    return is_string($value) && $value !== '';
}

/** @param mixed $value */
function isDigest($value): bool
{
    return isText($value) && strlen(decode($value)) === 32;
}

function demand(bool $holds, string $word): void
{
    if (!$holds) {
        throw new Refused($word);
    }
}

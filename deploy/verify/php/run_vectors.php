<?php

declare(strict_types=1);

// Runs the shared vectors: php run_vectors.php FILE [ALGORITHM]
// With an algorithm only its cases run, for an installation that has no other.

require __DIR__ . '/SekishoVerifier.php';

function main(string $path, ?string $algorithm): int
{
    $vectors = json_decode(file_get_contents($path), true, 512, JSON_THROW_ON_ERROR);
    $keys = keysOf($vectors['keys'], $algorithm);
    $passed = $failed = 0;
    foreach ($vectors['cases'] as $case) {
        if ($algorithm !== null && $algorithm !== $case['algorithm']) {
            continue;
        }
        $outcome = outcomeOf($keys, array_merge($vectors['context'], $case));
        if ($outcome === $case['expect']) {
            $passed++;
        } else {
            $failed++;
            echo "FAILED {$case['name']}: expected {$case['expect']}, was $outcome\n";
        }
    }
    echo "$passed passed, $failed failed\n";
    return $passed > 0 && $failed === 0 ? 0 : 1;
}

function keysOf(array $listed, ?string $algorithm): Sekisho\Keys
{
    $keys = new Sekisho\Keys();
    foreach ($listed['hs256'] as $key) {
        $keys->addSecret($key['kid'], hex2bin($key['secret_hex']));
    }
    foreach ($listed['jwks']['keys'] as $jwk) {
        try {
            $keys->addJwks(['keys' => [$jwk]]);
        } catch (RuntimeException $error) {
            if ($algorithm === null || $algorithm === $jwk['alg']) {
                echo $error->getMessage(), "\n"; // its cases fail below: what was not verified has not passed
            }
        }
    }
    return $keys;
}

function outcomeOf(Sekisho\Keys $keys, array $case): string
{
    $seen = static function (string $jti) use ($case): bool {
        return in_array($jti, $case['seen'] ?? [], true);
    };
    $verifier = new Sekisho\Verifier($keys, $case['issuer'], $case['audience'], 5, 300, $seen);
    try {
        $body = $case['body'] ?? null;
        $verifier->verify($case['now'], $case['method'], $case['target'], $case['login_id'], $case['token'], $body);
        return 'ok';
    } catch (Sekisho\Refused $refusal) {
        return $refusal->getMessage();
    } catch (Throwable $error) { // a verifier that breaks has not refused
        return get_class($error) . ': ' . $error->getMessage();
    }
}

// A warning is a mistake in the verifier: it must not scroll by while the cases pass.
set_error_handler(static function (int $level, string $message): bool {
    throw new ErrorException($message);
});
if ($argc !== 2 && $argc !== 3) {
    fwrite(STDERR, "usage: php run_vectors.php FILE [ALGORITHM]\n");
    exit(1);
}
exit(main($argv[1], $argv[2] ?? null));

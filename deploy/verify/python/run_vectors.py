"""Runs the shared vectors: python3 run_vectors.py FILE [ALGORITHM]

With an algorithm only its cases run, for an installation that has no other.
"""

import json
import sys

sys.dont_write_bytecode = True  # the checkout stays as it was

from sekisho_verifier import Keys, Refused, UnsupportedAlgorithm, Verifier  # noqa: E402


def main(path, algorithm=None):
    with open(path, encoding="utf-8") as file:
        vectors = json.load(file)
    keys = keys_of(vectors["keys"], algorithm)
    passed = failed = 0
    for case in vectors["cases"]:
        if algorithm not in (None, case["algorithm"]):
            continue
        outcome = outcome_of(keys, {**vectors["context"], **case})
        if outcome == case["expect"]:
            passed += 1
        else:
            failed += 1
            print("FAILED %s: expected %s, was %s" % (case["name"], case["expect"], outcome))
    print("%d passed, %d failed" % (passed, failed))
    return 0 if passed > 0 and failed == 0 else 1


def keys_of(listed, algorithm):
    keys = Keys()
    for key in listed["hs256"]:
        keys.add_secret(key["kid"], bytes.fromhex(key["secret_hex"]))
    for jwk in listed["jwks"]["keys"]:
        try:
            keys.add_jwks({"keys": [jwk]})
        except UnsupportedAlgorithm as error:
            if algorithm in (None, jwk["alg"]):
                print(error)  # its cases fail below: what was not verified has not passed
    return keys


def outcome_of(keys, case):
    seen = set(case.get("seen", []))
    verifier = Verifier(keys, case["issuer"], case["audience"], seen=lambda jti, exp: jti in seen)
    body = case["body"].encode("utf-8") if "body" in case else None
    try:
        verifier.verify(case["now"], case["method"], case["target"], case["login_id"], case["token"], body)
        return "ok"
    except Refused as refusal:
        return refusal.word
    except Exception as error:  # a verifier that breaks has not refused
        return "%s: %s" % (type(error).__name__, error)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))

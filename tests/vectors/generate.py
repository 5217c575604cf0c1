"""Writes the vectors that every verifier of the assertion runs: python3 generate.py assertion.json

Needs the package `cryptography`. The HS256 keys are literals, so their tokens are the same each time. The ES256 and
Ed25519 keys are made anew in each run and forgotten at its end, because no private key may stand in the repository:
a run replaces the public keys and every token signed with them.

A case overrides members of the context. "login_id" or "token" null is a header that is missing, "body" is UTF-8 text
(without it the verifier gets no body), "seen" lists the jti that the replay defence knows already, "algorithm" is the
one under test.
"""

import base64
import hashlib
import hmac
import json
import sys

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

TEST_SECRETS = {  # for these vectors alone; never give one of them to a gateway
    "test-hs256-old": bytes(range(0x20, 0x40)),
    "test-hs256-new": bytes(range(0x80, 0xC0)),
}
NOW = 1_790_000_000
CONTEXT = {
    "issuer": "sekisho",
    "audience": "core-banking",
    "now": NOW,
    "method": "POST",
    "target": "/ib/transfer/commit.do?step=2&memo=%8E%71",
    "login_id": "taro.y~01",
}
BODY = "fromAccount=1234567&amount=5000"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
MAX_TOKEN_BYTES = 8192


def base64url(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def from_base64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def digest_of(body):
    return base64url(hashlib.sha256(body.encode("utf-8")).digest())


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


class Signer:
    """One key. `sign` takes bytes or anything JSON can write, so that a case may say what no honest gateway would."""

    def __init__(self, algorithm, kid, raw_signature):
        self.algorithm = algorithm
        self.kid = kid
        self.raw_signature = raw_signature

    def header(self, **changes):
        return {"alg": self.algorithm, "typ": "sekisho+jwt", "kid": self.kid, **changes}

    def sign(self, claims, header=None):
        header = self.header() if header is None else header
        parts = [base64url(part if isinstance(part, bytes) else compact(part)) for part in (header, claims)]
        return ".".join(parts + [base64url(self.raw_signature(".".join(parts).encode("ascii")))])


def hs256(kid, secret):
    return Signer("HS256", kid, lambda signed: hmac.new(secret, signed, hashlib.sha256).digest())


def es256(kid):
    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key()

    def raw_signature(signed):
        r, s = utils.decode_dss_signature(private.sign(signed, ec.ECDSA(SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    x, y = (n.to_bytes(32, "big") for n in (public.public_numbers().x, public.public_numbers().y))
    jwk = {"kty": "EC", "crv": "P-256", "x": base64url(x), "y": base64url(y), "kid": kid, "alg": "ES256", "use": "sig"}
    return Signer("ES256", kid, raw_signature), public, jwk


def eddsa(kid):
    private = ed25519.Ed25519PrivateKey.generate()
    public = private.public_key()
    x = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": base64url(x), "kid": kid, "alg": "EdDSA", "use": "sig"}
    return Signer("EdDSA", kid, private.sign), public, jwk


def claims_with(**changes):
    """The claims of a good assertion; `...` as a value leaves the claim out."""
    claims = {
        "iss": CONTEXT["issuer"],
        "aud": CONTEXT["audience"],
        "sub": CONTEXT["login_id"],
        "iat": NOW - 1,
        "exp": NOW + 29,
        "jti": "0Vv1n3y9TzK6bqkq6m3cXA",
        "htm": CONTEXT["method"],
        "htu": CONTEXT["target"],
        "bd": digest_of(BODY),
        "cnf": {"x5t#S256": digest_of("the certificate of the customer")},
        "amr": ["cert"],
        "listener": "certificate",
        "contract": "C-0012345",
        "role": "approver",
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not ...}


class Cases:
    def __init__(self):
        self.list = []

    def add(self, signer, name, expect, token, **overrides):
        """Every case has the body of the good token unless it says otherwise; `body=...` is no body."""
        overrides.setdefault("body", BODY)
        overrides = {key: value for key, value in overrides.items() if value is not ...}
        name = "%s: %s" % (signer.algorithm, name)
        assert name not in {case["name"] for case in self.list}, name
        self.list.append({"name": name, "algorithm": signer.algorithm, "token": token, **overrides, "expect": expect})


def cases_of_each_algorithm(cases, signer, publics):
    good = signer.sign(claims_with())
    cases.add(signer, "good, with a body digest", "ok", good)
    cases.add(signer, "good, without a body digest, contract and role", "ok",
              signer.sign(claims_with(bd=..., contract=..., role=...)), body=...)
    symbols = 'a.b~c"d\\e'
    cases.add(signer, "good, a login ID of symbols", "ok", signer.sign(claims_with(sub=symbols)), login_id=symbols)

    signed_again = {
        "iss": ("other-gateway", "wrong_issuer"),
        "aud": ("other-application", "wrong_audience"),
        "sub": ("hanako.s~2", "wrong_subject"),
        "iat": (NOW + 6, "not_yet_valid"),
        "exp": (NOW - 5, "expired"),
        "jti": ("", "malformed"),
        "htm": ("GET", "wrong_method"),
        "htu": ("/ib/balance.do", "wrong_target"),
        "bd": (digest_of("fromAccount=1234567&amount=5001"), "wrong_body"),
        "cnf": ({"x5t#S256": "dG9vIHNob3J0"}, "malformed"),
        "amr": ("cert", "malformed"),
        "listener": (7, "malformed"),
        "contract": (None, "malformed"),
        "role": ([], "malformed"),
    }
    for claim, (value, word) in signed_again.items():
        cases.add(signer, "another %s, signed again" % claim, word, signer.sign(claims_with(**{claim: value})))

    altered = {
        "iss": "other-gateway",
        "aud": "other-application",
        "sub": "hanako.s~2",
        "iat": NOW - 2,
        "exp": NOW + 30,
        "jti": "1Vv1n3y9TzK6bqkq6m3cXA",
        "htm": "GET",
        "htu": "/ib/balance.do",
        "bd": digest_of("fromAccount=1234567&amount=5001"),
        "cnf": {"x5t#S256": digest_of("another certificate")},
        "amr": ["cert", "otp"],
        "listener": "password",
        "contract": "C-0099999",
        "role": "administrator",
    }
    header, payload, signature = good.split(".")
    for claim, value in altered.items():
        token = ".".join([header, base64url(compact(claims_with(**{claim: value}))), signature])
        # The request is changed along with the claim wherever it can be, so that nothing but the signature refuses.
        request = {"iss": "issuer", "aud": "audience", "sub": "login_id", "htm": "method", "htu": "target"}.get(claim)
        overrides = {request: value} if request else {}
        if claim == "bd":
            overrides["body"] = "fromAccount=1234567&amount=5001"
        cases.add(signer, "another %s, not signed again" % claim, "bad_signature", token, **overrides)

    def with_header(**changes):
        return signer.sign(claims_with(), {k: v for k, v in signer.header(**changes).items() if v is not ...})

    cases.add(signer, "alg none", "wrong_algorithm", with_header(alg="none"))
    cases.add(signer, "alg none and no signature", "malformed", with_header(alg="none").rsplit(".", 1)[0] + ".")
    cases.add(signer, "alg in another case", "wrong_algorithm", with_header(alg=signer.algorithm.swapcase()))
    for other in ("HS256", "ES256", "EdDSA"):
        if other != signer.algorithm:
            cases.add(signer, "alg says %s" % other, "wrong_algorithm", with_header(alg=other))
    cases.add(signer, "kid unknown", "unknown_key", with_header(kid="2019-01"))
    cases.add(signer, "typ JWT", "wrong_type", with_header(typ="JWT"))
    cases.add(signer, "typ changed and not signed again", "bad_signature",
              ".".join([base64url(compact(signer.header(typ="JWT"))), payload, signature]))
    cases.add(signer, "crit added", "malformed", with_header(crit=["exp"]))

    raw = from_base64url(signature)
    another = from_base64url(signer.sign(claims_with(jti="another")).split(".")[2])
    for name, octets in (
        ("signature cut short", raw[:-1]),
        ("signature one byte longer", raw + b"\0"),
        ("signature of another assertion", another),
        ("signature of zeros", bytes(len(raw))),
    ):
        cases.add(signer, name, "bad_signature", ".".join([header, payload, base64url(octets)]))
    for form, secret in publics.items():
        forger = hs256(signer.kid, secret)
        name = "HS256 with the public key as its secret (%s)" % form
        cases.add(signer, name, "wrong_algorithm", forger.sign(claims_with()))


def cases_of_es256(cases, signer):
    parts = signer.sign(claims_with()).split(".")
    raw = from_base64url(parts[2])
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")

    def with_signature(octets):
        return ".".join(parts[:2] + [base64url(octets)])

    cases.add(signer, "signature as DER", "bad_signature", with_signature(utils.encode_dss_signature(r, s)))
    cases.add(signer, "r of zero", "bad_signature", with_signature(bytes(32) + raw[32:]))
    cases.add(signer, "s of zero", "bad_signature", with_signature(raw[:32] + bytes(32)))
    cases.add(signer, "r and s of the group order", "bad_signature", with_signature(P256_ORDER.to_bytes(32, "big") * 2))


def cases_of_eddsa(cases, signer):
    parts = signer.sign(claims_with()).split(".")
    raw = from_base64url(parts[2])
    larger = int.from_bytes(raw[32:], "little") + ED25519_ORDER
    cases.add(signer, "s beyond the group order", "bad_signature",
              ".".join(parts[:2] + [base64url(raw[:32] + larger.to_bytes(32, "little"))]))


def cases_of_keys(cases, signer, newer, asymmetric):
    cases.add(signer, "good, with the other of two keys", "ok", newer.sign(claims_with()))
    cases.add(signer, "kid of the other key", "bad_signature", signer.sign(claims_with(), signer.header(kid=newer.kid)))
    for other in asymmetric:
        cases.add(other, "signed with an HS256 key of the gateway", "wrong_algorithm",
                  signer.sign(claims_with(), signer.header(kid=other.kid)))


def cases_of_the_request(cases, signer):
    good = signer.sign(claims_with())
    for name, target in (
        ("replayed on another path", "/ib/limit/commit.do?step=2&memo=%8E%71"),
        ("replayed with another query", "/ib/transfer/commit.do?step=3&memo=%8E%71"),
        ("replayed without the query", "/ib/transfer/commit.do"),
        ("the target escaped in lower case", "/ib/transfer/commit.do?step=2&memo=%8e%71"),
        ("the target unescaped", "/ib/transfer/commit.do?step=2&memo=%8Eq"),
    ):
        cases.add(signer, name, "wrong_target", good, target=target)
    cases.add(signer, "replayed with another method", "wrong_method", good, method="GET")
    cases.add(signer, "the method in lower case", "wrong_method", good, method="post")
    cases.add(signer, "replayed with another login ID", "wrong_subject", good, login_id="hanako.s~2")
    cases.add(signer, "the login ID in another case", "wrong_subject", good, login_id="Taro.Y~01")
    cases.add(signer, "the login ID and a blank", "wrong_subject", good, login_id="taro.y~01 ")
    cases.add(signer, "the login ID twice", "wrong_subject", good, login_id="taro.y~01, taro.y~01")
    cases.add(signer, "the login ID missing", "wrong_subject", good, login_id=None)
    cases.add(signer, "for another application", "wrong_audience", good, audience="other-application")
    cases.add(signer, "from another gateway", "wrong_issuer", good, issuer="other-gateway")
    cases.add(signer, "another body", "wrong_body", good, body=BODY + "0")
    cases.add(signer, "a digest and no body", "wrong_body", good, body=...)
    cases.add(signer, "a digest and an empty body", "wrong_body", good, body="")
    cases.add(signer, "good, the digest of an empty body", "ok", signer.sign(claims_with(bd=digest_of(""))), body="")
    cases.add(signer, "good, a body that was not inspected", "ok", signer.sign(claims_with(bd=...)))
    cases.add(signer, "the same assertion a second time", "replayed", good, seen=["another", claims_with()["jti"]])
    cases.add(signer, "good, another assertion was seen", "ok", good, seen=["another"])
    injected = signer.sign(claims_with(sub='a","b":"c'))
    cases.add(signer, "good, a login ID that looks like JSON", "ok", injected, login_id='a","b":"c')
    cases.add(signer, "a login ID that ends where JSON would", "wrong_subject", injected, login_id="a")


def cases_of_time(cases, signer):
    for name, expect, times in (
        ("good, expired within the clock skew", "ok", (NOW - 34, NOW - 4)),
        ("expired by the clock skew", "expired", (NOW - 35, NOW - 5)),
        ("expired a year ago", "expired", (NOW - 31_536_030, NOW - 31_536_000)),
        ("good, made within the clock skew", "ok", (NOW + 5, NOW + 35)),
        ("made beyond the clock skew", "not_yet_valid", (NOW + 6, NOW + 36)),
        ("good, the longest life", "ok", (NOW, NOW + 300)),
        ("a second longer than the longest life", "too_long_lived", (NOW, NOW + 301)),
        ("a life without end", "too_long_lived", (NOW, 999_999_999_999_999)),
        ("made long ago and still alive", "too_long_lived", (0, NOW + 30)),
    ):
        cases.add(signer, name, expect, signer.sign(claims_with(iat=times[0], exp=times[1])))


def cases_of_form(cases, signer):
    good = signer.sign(claims_with())
    header, payload, signature = good.split(".")
    for name, token in (
        ("an empty token", ""),
        ("the token missing", None),
        ("not a token", "taro.y~01"),
        ("one part", header),
        ("two parts", header + "." + payload),
        ("four parts", good + "." + signature),
        ("a dot at the end", good + "."),
        ("an empty header", "." + payload + "." + signature),
        ("an empty payload", header + ".." + signature),
        ("an empty signature", header + "." + payload + "."),
        ("a blank before", " " + good),
        ("a line feed after", good + "\n"),
        ("the token twice", good + ", " + good),
        ("a letter that is not ASCII", good[:-1] + "\uff21"),
    ):
        cases.add(signer, name, "malformed", token)
    # A part whose last group is not full has spare bits, so blanks make the JSON as long as that takes.
    loose = signer.sign(not_divisible_by_3(compact(claims_with())), not_divisible_by_3(compact(signer.header())))
    for index, name in enumerate(("header", "payload", "signature")):
        with_padding, with_bit = loose.split("."), loose.split(".")
        with_padding[index] += "=" * (-len(with_padding[index]) % 4)
        with_bit[index] = with_spare_bit(with_bit[index])
        cases.add(signer, "padding after the %s" % name, "malformed", ".".join(with_padding))
        cases.add(signer, "spare bits set in the %s" % name, "malformed", ".".join(with_bit))
    # Signed as it stands, so that nothing but the alphabet refuses.
    plain = header + "." + base64.b64encode(compact(claims_with(role="?>~" * 6))).decode("ascii").rstrip("=")
    assert "/" in plain or "+" in plain
    plain += "." + base64url(signer.raw_signature(plain.encode("ascii")))
    cases.add(signer, "the alphabet of plain base64", "malformed", plain)
    cases.add(signer, "good, as long as allowed", "ok", token_of_length(signer, MAX_TOKEN_BYTES))
    cases.add(signer, "a byte longer than allowed", "malformed", token_of_length(signer, MAX_TOKEN_BYTES + 1))


def not_divisible_by_3(json_text):
    return json_text + b" " * (2 - len(json_text) % 3)


def with_spare_bit(part):
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    changed = part[:-1] + alphabet[alphabet.index(part[-1]) | 1]
    assert changed != part and from_base64url(changed) == from_base64url(part)
    return changed


def token_of_length(signer, length):
    for blanks in range(4):
        header = compact(signer.header()) + b" " * blanks  # shifts the lengths that the payload alone cannot reach
        for filler in range(length * 3 // 4 - 700, length):
            token = signer.sign(claims_with(filler="x" * filler), header)
            if len(token) >= length:
                break
        if len(token) == length:
            return token
    raise AssertionError("no token of %d bytes" % length)


def cases_of_json(cases, signer):
    text = compact(claims_with())
    thumbprint = digest_of("the certificate of the customer")
    twice = b'"cnf":{"x5t#S256":"%s","x5t#S256":"%s"}' % ((thumbprint.encode("ascii"),) * 2)

    def nested(depth):
        return json.loads("[" * depth + "]" * depth)

    def added(json_text):
        return text[:-1] + b"," + json_text + b"}"

    def instead_of(name, json_text):
        return compact(claims_with(**{name: ...}))[:-1] + b"," + json_text + b"}"

    for name, payload in (
        ("good, an unknown claim", claims_with(later={"more": [1, True, None]})),
        ("good, blanks and another order", json.dumps(dict(sorted(claims_with().items())), indent=2).encode()),
        ("good, a role that is not ASCII", claims_with(role="承認者")),
        ("good, escapes", instead_of("role", rb'"\u0072ol\u0065":"\u627f\/\ud83d\ude00\n"')),
        ("good, nested as deep as allowed", claims_with(later=nested(7))),
    ):
        cases.add(signer, name, "ok", signer.sign(payload))

    for name, payload in (
        ("a claim twice", added(b'"sub":"hanako.s~2"')),
        ("a claim twice with the same value", added(b'"sub":"taro.y~01"')),
        ("a claim twice, once escaped", added(rb'"s\u0075b":"hanako.s~2"')),
        ("a name twice in a nested object", instead_of("cnf", twice)),
        ("a name twice in an unknown claim", added(b'"later":[{"a":1,"a":2}]')),
        ("nested too deep", claims_with(later=nested(8))),
        ("nested beyond all measure", added(b'"later":' + b"[" * 2500 + b"]" * 2500)),
        ("nested and not closed", b"[" * 5000),
        ("an array of claims", [claims_with()]),
        ("a string of claims", '{"sub":"taro.y~01"}'),
        ("null for claims", b"null"),
        ("not JSON", b"sub=taro.y~01"),
        ("something after the claims", text + b"{}"),
        ("a byte order mark", b"\xef\xbb\xbf" + text),
        ("UTF-16", text.decode("utf-8").encode("utf-16-le")),
        ("bytes that are not UTF-8", instead_of("role", b'"role":"\x8f\xb3"')),
        ("an overlong UTF-8 letter", instead_of("role", b'"role":"\xc0\xaf"')),
        ("half a surrogate pair", instead_of("role", rb'"role":"\ud83d"')),
        ("half a surrogate pair in a name", added(rb'"\ude00":1')),
        ("NUL in a string", instead_of("role", rb'"role":"approver\u0000"')),
        ("NUL in a name", added(rb'"\u0000sub":"hanako.s~2"')),
        ("a control character in a string", instead_of("role", b'"role":"a\tb"')),
        ("a string that does not end", text[:-2]),
        ("an escape that is none", instead_of("role", rb'"role":"\x41"')),
        ("an escape with a letter that is no digit", instead_of("role", rb'"role":"\u00g1"')),
        ("a word that is none", added(b'"later":trve')),
        ("a comma at the end", text[:-1] + b",}"),
        ("a comment", text + b"//"),
        ("single quotes", added(b"'later':1")),
        ("NaN", added(b'"later":NaN')),
        ("a number with a fraction", instead_of("iat", b'"iat":%d.0' % (NOW - 1))),
        ("a number with an exponent", instead_of("exp", b'"exp":1790000029e0')),
        ("a number below zero", added(b'"later":-1')),
        ("a number that starts with zero", instead_of("iat", b'"iat":0%d' % (NOW - 1))),
        ("a number of sixteen digits", added(b'"later":1000000000000000')),
        ("a time as a string", claims_with(exp=str(NOW + 29))),
        ("a time that is true", claims_with(iat=True)),
        ("a list of audiences", claims_with(aud=[CONTEXT["audience"]])),
        ("a subject of null", claims_with(sub=None)),
        ("an empty list of methods", claims_with(amr=[])),
        ("a list of methods with a number", claims_with(amr=["cert", 1])),
        ("an object of methods", claims_with(amr={"0": "cert"})),
        ("a thumbprint that is no object", claims_with(cnf=thumbprint)),
        ("a thumbprint with padding", claims_with(cnf={"x5t#S256": thumbprint + "="})),
        ("a body digest in hexadecimal", claims_with(bd=hashlib.sha256(BODY.encode()).hexdigest())),
        ("a body digest of null", claims_with(bd=None)),
    ):
        cases.add(signer, name, "malformed", signer.sign(payload))
    for claim in ("iss", "aud", "sub", "iat", "exp", "jti", "htm", "htu", "cnf", "amr", "listener"):
        cases.add(signer, "%s missing" % claim, "malformed", signer.sign(claims_with(**{claim: ...})))

    plain = compact(signer.header())
    for name, header in (
        ("header not JSON", b"HS256"),
        ("header an array", [signer.header()]),
        ("header null", b"null"),
        ("header with alg twice", plain[:-1] + b',"alg":"none"}'),
        ("header with kid twice, once escaped", plain[:-1] + rb',"k\u0069d":"2019-01"}'),
        ("header with a key of its own", {**signer.header(), "jwk": {"kty": "oct", "k": base64url(b"k" * 32)}}),
        ("header with b64", {**signer.header(), "b64": False}),
        ("header without typ", {k: v for k, v in signer.header().items() if k != "typ"}),
        ("header without kid", {k: v for k, v in signer.header().items() if k != "kid"}),
        ("header without alg", {k: v for k, v in signer.header().items() if k != "alg"}),
        ("header with a number as kid", signer.header(kid=1)),
        ("header with an array as alg", signer.header(alg=["HS256"])),
    ):
        cases.add(signer, name, "malformed", signer.sign(claims_with(), header))
    cases.add(signer, "typ in another case", "wrong_type", signer.sign(claims_with(), signer.header(typ="SEKISHO+JWT")))
    for name, kid in (("kid of a member every object has", "__proto__"), ("kid empty", "")):
        cases.add(signer, name, "unknown_key", signer.sign(claims_with(), signer.header(kid=kid)))


def main(path):
    older, newer = (hs256(kid, secret) for kid, secret in TEST_SECRETS.items())
    ec_signer, ec_public, ec_jwk = es256("test-es256")
    ed_signer, ed_public, ed_jwk = eddsa("test-eddsa")

    cases = Cases()
    cases_of_each_algorithm(cases, older, {})
    cases_of_each_algorithm(cases, ec_signer, {
        "point": ec_public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
        "PEM": ec_public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    })
    cases_of_each_algorithm(cases, ed_signer, {
        "raw": ed_public.public_bytes(Encoding.Raw, PublicFormat.Raw),
        "PEM": ed_public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    })
    cases_of_es256(cases, ec_signer)
    cases_of_eddsa(cases, ed_signer)
    cases_of_keys(cases, older, newer, [ec_signer, ed_signer])
    cases_of_the_request(cases, older)
    cases_of_time(cases, older)
    cases_of_form(cases, older)
    cases_of_json(cases, older)

    vectors = {
        "keys": {
            "hs256": [{"kid": kid, "secret_hex": secret.hex()} for kid, secret in TEST_SECRETS.items()],
            "jwks": {"keys": [ec_jwk, ed_jwk]},
        },
        "context": CONTEXT,
    }
    with open(path, "w", encoding="utf-8") as file:
        # One case a line, so that a change of one shows as one line.
        file.write(json.dumps(vectors, indent=2, ensure_ascii=False)[:-2] + ',\n  "cases": [\n')
        file.write(",\n".join("    " + json.dumps(case, ensure_ascii=False) for case in cases.list))
        file.write("\n  ]\n}\n")
    print("%d cases" % len(cases.list))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])

"""Verifies the assertion that Sekisho sends beside the login ID.

    keys = Keys()
    keys.add_secret("2026-11", open("assertion.key", "rb").read())
    verifier = Verifier(keys, issuer="sekisho", audience="core-banking")
    claims = verifier.verify(now, method, target, login_id, token, body)   # or raises Refused

Python 3.9 or newer. HS256 needs the standard library only; ES256 and EdDSA need the package `cryptography`.
The verifiers for Java, Node, PHP and Python make the same checks in the same order and refuse with the same words.
"""

import base64
import hashlib
import hmac
import json

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
    from cryptography.hazmat.primitives.hashes import SHA256
except ImportError:
    ec = ed25519 = None

MAX_TOKEN_BYTES = 8192
MAX_NESTING = 8
MAX_DIGITS = 15  # every JSON reader can hold such a number exactly
MIN_SECRET_BYTES = 32


class Refused(Exception):
    """The request must not be served. `word` says why; it is for the log, not for the client."""

    def __init__(self, word):
        super().__init__(word)
        self.word = word


class UnsupportedAlgorithm(Exception):
    """This installation cannot verify with such a key. Raised when the key is added: at start, not at a request."""


class Keys:
    """The gateway's keys by their ID. A key has one algorithm for ever: what the token says never chooses it."""

    def __init__(self):
        self._keys = {}

    def add_secret(self, kid, secret):
        """Adds an HS256 key: the bytes of the key file as they are, at least 32, nothing trimmed."""
        if len(secret) < MIN_SECRET_BYTES:
            raise ValueError("an HS256 key needs at least 32 bytes")
        self._add(kid, "HS256", _hs256(secret))

    def add_jwks(self, jwks):
        """Adds every key of a JWKS, already read from JSON. One that is not understood is an error, never skipped."""
        for jwk in jwks["keys"]:
            kind = (jwk.get("kty"), jwk.get("crv"), jwk.get("alg"), jwk.get("use", "sig"))
            if kind == ("EC", "P-256", "ES256", "sig"):
                self._add(jwk["kid"], "ES256", _es256(_decode(jwk["x"]), _decode(jwk["y"])))
            elif kind == ("OKP", "Ed25519", "EdDSA", "sig"):
                self._add(jwk["kid"], "EdDSA", _eddsa(_decode(jwk["x"])))
            else:
                raise UnsupportedAlgorithm("unsupported algorithm: key %r is %r" % (jwk.get("kid"), kind))

    def _add(self, kid, algorithm, is_signed):
        if kid in self._keys:
            raise ValueError("two keys with the ID %r" % kid)
        self._keys[kid] = (algorithm, is_signed)

    def find(self, kid):
        return self._keys.get(kid)


class Verifier:
    """`seen(jti, exp)`, where given, records the jti and says whether it had been recorded before."""

    def __init__(self, keys, issuer, audience, clock_skew=5, max_lifetime=300, seen=None):
        self.keys = keys
        self.issuer = issuer
        self.audience = audience
        self.clock_skew = clock_skew
        self.max_lifetime = max_lifetime
        self.seen = seen

    def verify(self, now, method, target, login_id, token, body=None):
        """Returns the claims, or raises Refused.

        `now` is in seconds, `target` the path and query as they came on the wire, `login_id` and `token` the two
        headers (None where one is missing), `body` the bytes of the body.
        """
        payload = self._signed_payload(token)
        claims = _read_claims(payload)
        _demand(claims["iss"] == self.issuer, "wrong_issuer")
        _demand(claims["aud"] == self.audience, "wrong_audience")
        _demand(claims["iat"] <= now + self.clock_skew, "not_yet_valid")
        _demand(claims["exp"] > now - self.clock_skew, "expired")
        _demand(claims["exp"] - claims["iat"] <= self.max_lifetime, "too_long_lived")
        _demand(claims["htm"] == method, "wrong_method")
        _demand(claims["htu"] == target, "wrong_target")
        _demand(claims["sub"] == login_id, "wrong_subject")
        if "bd" in claims:
            _demand(body is not None and _decode(claims["bd"]) == hashlib.sha256(body).digest(), "wrong_body")
        # Last, so that a request refused for another reason cannot use up the jti of a good one.
        if self.seen is not None:
            _demand(self.seen(claims["jti"], claims["exp"]) is False, "replayed")
        return claims

    def _signed_payload(self, token):
        """The bytes of the claims, once the signature over them holds. They are not read before that."""
        _demand(isinstance(token, str) and len(token) <= MAX_TOKEN_BYTES, "malformed")
        parts = token.split(".")
        _demand(len(parts) == 3, "malformed")
        header_bytes, payload, signature = [_decode(part) for part in parts]
        header = _read_object(header_bytes)
        _demand(header.keys() == {"alg", "typ", "kid"}, "malformed")
        _demand(all(isinstance(value, str) for value in header.values()), "malformed")
        key = self.keys.find(header["kid"])
        _demand(key is not None, "unknown_key")
        algorithm, is_signed = key
        _demand(header["alg"] == algorithm, "wrong_algorithm")
        _demand(is_signed((parts[0] + "." + parts[1]).encode("ascii"), signature), "bad_signature")
        _demand(header["typ"] == "sekisho+jwt", "wrong_type")
        return payload


def _read_claims(payload):
    """Claims that are all there and of the right type. Unknown ones are left alone: the gateway may grow."""
    claims = _read_object(payload)
    for name in ("iss", "aud", "sub", "jti", "htm", "htu", "listener"):
        _demand(_is_text(claims.get(name)), "malformed")
    for name in ("iat", "exp"):
        _demand(type(claims.get(name)) is int, "malformed")  # isinstance would take True for 1
    for name in ("contract", "role"):
        _demand(name not in claims or _is_text(claims[name]), "malformed")
    _demand(isinstance(claims.get("cnf"), dict) and _is_digest(claims["cnf"].get("x5t#S256")), "malformed")
    amr = claims.get("amr")
    _demand(isinstance(amr, list) and amr and all(_is_text(value) for value in amr), "malformed")
    _demand("bd" not in claims or _is_digest(claims["bd"]), "malformed")
    return claims


def _is_text(value):
    return isinstance(value, str) and value != ""


def _is_digest(value):
    return _is_text(value) and len(_decode(value)) == 32


def _decode(part):
    """Base64url of at least one byte. Encoding again is what refuses padding, foreign letters and stray last bits."""
    try:
        octets = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        raise Refused("malformed") from None
    _demand(octets and base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii") == part, "malformed")
    return octets


def _read_object(octets):
    """A JSON object with exactly one meaning: no name twice, whole numbers only, UTF-8 only, no NUL."""
    try:
        value = json.loads(
            octets.decode("utf-8"),
            object_pairs_hook=_members,
            parse_int=_whole_number,
            parse_float=_no_number,
            parse_constant=_no_number,
        )
    except (ValueError, RecursionError):
        raise Refused("malformed") from None
    _demand(isinstance(value, dict), "malformed")
    _refuse_second_meanings(value)
    return value


def _members(pairs):
    members = dict(pairs)
    _demand(len(members) == len(pairs), "malformed")
    return members


def _whole_number(digits):
    _demand(digits.isascii() and digits.isdigit() and len(digits) <= MAX_DIGITS, "malformed")
    return int(digits)


def _no_number(_):
    raise Refused("malformed")


def _refuse_second_meanings(value, levels=MAX_NESTING):
    """What Python can hold and others cannot: half a surrogate pair, NUL, any depth."""
    if isinstance(value, str):
        _demand(not any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in value), "malformed")
    elif isinstance(value, (dict, list)):
        _demand(levels > 0, "malformed")
        for child in value:
            _refuse_second_meanings(child, levels - 1)
        for child in value.values() if isinstance(value, dict) else ():
            _refuse_second_meanings(child, levels - 1)


def _demand(holds, word):
    if not holds:
        raise Refused(word)


def _hs256(secret):
    return lambda signed, signature: hmac.compare_digest(hmac.new(secret, signed, hashlib.sha256).digest(), signature)


def _es256(x, y):
    if ec is None:
        raise UnsupportedAlgorithm("unsupported algorithm: ES256 needs the Python package cryptography")
    key = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1()).public_key()

    def is_signed(signed, signature):
        if len(signature) != 64:
            return False
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        return _holds(lambda: key.verify(utils.encode_dss_signature(r, s), signed, ec.ECDSA(SHA256())))

    return is_signed


def _eddsa(x):
    if ed25519 is None:
        raise UnsupportedAlgorithm("unsupported algorithm: EdDSA needs the Python package cryptography")
    key = ed25519.Ed25519PublicKey.from_public_bytes(x)
    return lambda signed, signature: _holds(lambda: key.verify(signature, signed))


def _holds(check):
    try:
        check()
        return True
    except InvalidSignature:
        return False

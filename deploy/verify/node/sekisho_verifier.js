'use strict';
// Verifies the assertion that Sekisho sends beside the login ID.
//
//   const keys = new Keys().addSecret('2026-11', fs.readFileSync('assertion.key'));
//   const verifier = new Verifier(keys, { issuer: 'sekisho', audience: 'core-banking' });
//   const claims = verifier.verify({ now, method, target, loginId, token, body }); // or throws Refused
//
// Node 18 or newer, nothing else. The verifiers for Java, Node, PHP and Python make the same checks in the same order
// and refuse with the same words.

const crypto = require('node:crypto');

const MAX_TOKEN_BYTES = 8192;
const MAX_NESTING = 8;
const WHOLE_NUMBER = /^(0|[1-9][0-9]{0,14})$/; // every JSON reader can hold such a number exactly
const MIN_SECRET_BYTES = 32;

/** The request must not be served. `word` says why; it is for the log, not for the client. */
class Refused extends Error {
  constructor(word) {
    super(word);
    this.word = word;
  }
}

/** The gateway's keys by their ID. A key has one algorithm for ever: what the token says never chooses it. */
class Keys {
  #keys = new Map();

  /** Adds an HS256 key: the bytes of the key file as they are, at least 32, nothing trimmed. */
  addSecret(kid, secret) {
    if (!Buffer.isBuffer(secret) || secret.length < MIN_SECRET_BYTES) {
      throw new Error('an HS256 key needs a Buffer of at least 32 bytes');
    }
    return this.#add(kid, 'HS256', (signed, signature) => {
      const expected = crypto.createHmac('sha256', secret).update(signed).digest();
      return expected.length === signature.length && crypto.timingSafeEqual(expected, signature);
    });
  }

  /** Adds every key of a JWKS, already read from JSON. One that is not understood is an error, never skipped. */
  addJwks(jwks) {
    for (const jwk of jwks.keys) {
      const { kid, kty, crv, alg, use = 'sig' } = jwk;
      const kind = [kty, crv, alg, use].join(' ');
      const publicKey = () => crypto.createPublicKey({ key: jwk, format: 'jwk' });
      if (kind === 'EC P-256 ES256 sig') this.#add(kid, 'ES256', es256(publicKey()));
      else if (kind === 'OKP Ed25519 EdDSA sig') this.#add(kid, 'EdDSA', eddsa(publicKey()));
      else throw new Error(`unsupported algorithm: key ${kid} is ${kind}`);
    }
    return this;
  }

  find(kid) {
    return this.#keys.get(kid);
  }

  #add(kid, algorithm, isSigned) {
    if (typeof kid !== 'string' || this.#keys.has(kid)) throw new Error(`no key ID, or two keys with the ID ${kid}`);
    this.#keys.set(kid, { algorithm, isSigned });
    return this;
  }
}

function es256(key) {
  // Raw r and s: the encoding is fixed here, so a DER signature is not a second spelling of the same token.
  return (signed, signature) =>
    signature.length === 64 && crypto.verify('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }, signature);
}

function eddsa(key) {
  return (signed, signature) => signature.length === 64 && crypto.verify(null, signed, key, signature);
}

class Verifier {
  /** `seen(jti, exp)`, where given, records the jti and says, not as a promise, whether it had been recorded before. */
  constructor(keys, { issuer, audience, clockSkew = 5, maxLifetime = 300, seen = null }) {
    Object.assign(this, { keys, issuer, audience, clockSkew, maxLifetime, seen });
  }

  /**
   * Returns the claims, or throws Refused. `now` is in seconds, `target` the path and query as they came on the wire,
   * `loginId` and `token` the two headers (undefined where one is missing), `body` a Buffer.
   */
  verify({ now, method, target, loginId, token, body }) {
    const claims = readClaims(this.#signedPayload(token));
    demand(claims.iss === this.issuer, 'wrong_issuer');
    demand(claims.aud === this.audience, 'wrong_audience');
    demand(claims.iat <= now + this.clockSkew, 'not_yet_valid');
    demand(claims.exp > now - this.clockSkew, 'expired');
    demand(claims.exp - claims.iat <= this.maxLifetime, 'too_long_lived');
    demand(claims.htm === method, 'wrong_method');
    demand(claims.htu === target, 'wrong_target');
    demand(claims.sub === loginId, 'wrong_subject');
    if (claims.bd !== undefined) demand(Buffer.isBuffer(body) && decode(claims.bd).equals(sha256(body)), 'wrong_body');
    // Last, so that a request refused for another reason cannot use up the jti of a good one.
    if (this.seen) demand(this.seen(claims.jti, claims.exp) === false, 'replayed');
    return claims;
  }

  /** The bytes of the claims, once the signature over them holds. They are not read before that. */
  #signedPayload(token) {
    demand(typeof token === 'string' && token.length <= MAX_TOKEN_BYTES, 'malformed');
    const parts = token.split('.');
    demand(parts.length === 3, 'malformed');
    const [headerBytes, payload, signature] = parts.map(decode);
    const header = readObject(headerBytes);
    demand(Object.keys(header).sort().join() === 'alg,kid,typ', 'malformed');
    demand(Object.values(header).every((value) => typeof value === 'string'), 'malformed');
    const key = this.keys.find(header.kid);
    demand(key !== undefined, 'unknown_key');
    demand(header.alg === key.algorithm, 'wrong_algorithm');
    demand(key.isSigned(Buffer.from(`${parts[0]}.${parts[1]}`, 'latin1'), signature), 'bad_signature');
    demand(header.typ === 'sekisho+jwt', 'wrong_type');
    return payload;
  }
}

/** Claims that are all there and of the right type. Unknown ones are left alone: the gateway may grow. */
function readClaims(payload) {
  const claims = readObject(payload);
  const { iat, exp, cnf, amr, bd, contract, role } = claims;
  for (const name of ['iss', 'aud', 'sub', 'jti', 'htm', 'htu', 'listener']) demand(isText(claims[name]), 'malformed');
  for (const time of [iat, exp]) demand(typeof time === 'number', 'malformed');
  for (const optional of [contract, role]) demand(optional === undefined || isText(optional), 'malformed');
  demand(isObject(cnf) && isDigest(cnf['x5t#S256']), 'malformed');
  demand(Array.isArray(amr) && amr.length > 0 && amr.every(isText), 'malformed');
  demand(bd === undefined || isDigest(bd), 'malformed');
  return claims;
}

/** A JSON object with exactly one meaning: no name twice, whole numbers only, UTF-8 only, no NUL. */
function readObject(octets) {
  let text, value;
  try {
    // ignoreBOM leaves a byte order mark in, for JSON.parse to refuse.
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(octets);
    value = JSON.parse(text);
  } catch {
    throw new Refused('malformed');
  }
  demand(isObject(value), 'malformed');
  refuseSecondMeanings(text);
  return value;
}

/**
 * JSON.parse keeps the last of two members with one name, and rounds numbers. So the text, known to be JSON by now, is
 * read once more: strings (with the colon that makes one a name), brackets and numbers are all that matter.
 */
function refuseSecondMeanings(text) {
  const open = [];
  for (const [token, string, colon] of text.matchAll(/("(?:[^"\\]|\\.)*")(\s*:)?|[{}[\]]|-?[0-9][-+.0-9eE]*/g)) {
    if (string !== undefined) {
      const meant = JSON.parse(string);
      demand(!/[\0\p{Surrogate}]/u.test(meant), 'malformed'); // NUL and half a pair: others cannot even hold them
      if (colon !== undefined) {
        const names = open[open.length - 1];
        demand(!names.has(meant), 'malformed');
        names.add(meant);
      }
    } else if (token === '{' || token === '[') {
      demand(open.push(new Set()) <= MAX_NESTING, 'malformed');
    } else if (token === '}' || token === ']') {
      open.pop();
    } else {
      demand(WHOLE_NUMBER.test(token), 'malformed');
    }
  }
}

/** Base64url of at least one byte. Encoding again is what refuses padding, foreign letters and stray last bits. */
function decode(part) {
  const octets = Buffer.from(part, 'base64url');
  demand(octets.length > 0 && octets.toString('base64url') === part, 'malformed');
  return octets;
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value) {
  return typeof value === 'string' && value !== '';
}

function isDigest(value) {
  return isText(value) && decode(value).length === 32;
}

function sha256(octets) {
  return crypto.createHash('sha256').update(octets).digest();
}

function demand(holds, word) {
  if (!holds) throw new Refused(word);
}

module.exports = { Keys, Refused, Verifier };

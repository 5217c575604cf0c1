'use strict';
// Runs the shared vectors: node run_vectors.js FILE [ALGORITHM]
// With an algorithm only its cases run.

const fs = require('node:fs');
const { Keys, Refused, Verifier } = require('./sekisho_verifier.js');

function main(path, algorithm) {
  const vectors = JSON.parse(fs.readFileSync(path, 'utf8'));
  const keys = new Keys().addJwks(vectors.keys.jwks);
  for (const { kid, secret_hex } of vectors.keys.hs256) keys.addSecret(kid, Buffer.from(secret_hex, 'hex'));
  let passed = 0;
  let failed = 0;
  for (const each of vectors.cases) {
    if (algorithm !== undefined && algorithm !== each.algorithm) continue;
    const outcome = outcomeOf(keys, { ...vectors.context, ...each });
    if (outcome === each.expect) {
      passed += 1;
    } else {
      failed += 1;
      console.log(`FAILED ${each.name}: expected ${each.expect}, was ${outcome}`);
    }
  }
  console.log(`${passed} passed, ${failed} failed`);
  return passed > 0 && failed === 0 ? 0 : 1;
}

function outcomeOf(keys, { issuer, audience, now, method, target, login_id: loginId, token, body: text, seen = [] }) {
  const verifier = new Verifier(keys, { issuer, audience, seen: (jti) => seen.includes(jti) });
  const body = text === undefined ? undefined : Buffer.from(text, 'utf8');
  try {
    verifier.verify({ now, method, target, loginId, token, body });
    return 'ok';
  } catch (error) {
    return error instanceof Refused ? error.word : String(error); // a verifier that breaks has not refused
  }
}

if (process.argv.length !== 3 && process.argv.length !== 4) {
  console.error('usage: node run_vectors.js FILE [ALGORITHM]');
  process.exit(1);
}
process.exitCode = main(process.argv[2], process.argv[3]);

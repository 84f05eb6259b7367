import { createAccount, createOperator, createUser, type KeyPair } from '@nats-io/nkeys';

const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A JWT of NATS (ADR-14): claims signed by a key. */
function jwt(signer: KeyPair, subject: KeyPair, name: string, type: string, nats: object = {}): string {
  const claims = {
    ...{ jti: name, iat: Math.floor(Date.now() / 1000), iss: signer.getPublicKey(), name },
    ...{ sub: subject.getPublicKey(), nats: { type, version: 2, ...nats } },
  };
  const text = `${base64({ typ: 'JWT', alg: 'ed25519-nkey' })}.${base64(claims)}`;
  return `${text}.${Buffer.from(signer.sign(Buffer.from(text))).toString('base64url')}`;
}

/** A server configuration with an operator, an account and a user, and the user's credentials file. */
export function credentials(): { config: string; creds: string } {
  const [operator, account, user] = [createOperator(), createAccount(), createUser()];
  const limits = {
    subs: -1,
    data: -1,
    payload: -1,
    imports: -1,
    exports: -1,
    wildcards: true,
    conn: -1,
    leaf: -1,
  };
  const accountJwt = jwt(operator, account, 'account', 'account', { limits });
  const userJwt = jwt(account, user, 'user', 'user', { subs: -1, data: -1, payload: -1 });
  const seed = Buffer.from(user.getSeed()).toString();
  return {
    config: [
      `operator: ${jwt(operator, operator, 'operator', 'operator')}`,
      `resolver: MEMORY`,
      `resolver_preload: { ${account.getPublicKey()}: ${accountJwt} }`,
    ].join('\n'),
    creds: [
      `-----BEGIN NATS USER JWT-----\n${userJwt}\n------END NATS USER JWT------\n`,
      `-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`,
    ].join('\n'),
  };
}
